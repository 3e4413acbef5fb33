// The JavaScript SDK of Satori RTM against a server on loopback.
//
// Publishes, subscribes so that it resumes, lives through one cut, writes, reads
// and deletes, and prints what it saw as one line of JSON. The SDK forgets what
// was not acknowledged when its connection is lost, and takes nothing while there
// is none; the application has to send again, and so does this one.
'use strict';

const RTM = require('satori-rtm-sdk');

const CHANNEL = 'interop';
const COUNT = Number(process.env.RTM_MESSAGES);

// The SDK writes what goes wrong to stdout, which is ours.
RTM.logger.error = (...words) => console.error(...words);

const rtm = new RTM(process.env.RTM_ENDPOINT, process.env.RTM_APPKEY, {
  authProvider: RTM.roleSecretAuthProvider(process.env.RTM_ROLE, process.env.RTM_ROLE_SECRET),
});
const acknowledged = [];
const delivered = [];
let connects = 0;
let gaps = 0;

/** Makes a request and resolves to its answer; null if none comes. */
function ask(call) {
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(null), 3000);
    const answered = (pdu) => {
      clearTimeout(late);
      resolve(pdu);
    };
    try {
      call(answered);
    } catch (offline) {
      clearTimeout(late);
      setTimeout(() => resolve(null), 200);
    }
  });
}

function fail(what) {
  console.error(what);
  process.exit(1);
}

async function publish() {
  for (let number = 1; number <= COUNT; number += 1) {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const answer = await ask((answered) => rtm.publish(CHANNEL, number, answered));
      if (answer && answer.action === 'rtm/publish/ok') {
        acknowledged.push(number);
        break;
      }
    }
  }
}

async function store() {
  const value = { who: 'zebra', where: [34.1, -118.2] };
  const read = [];
  for (const call of [
    (answered) => rtm.write('interop-value', value, answered),
    (answered) => rtm.read('interop-value', answered),
    (answered) => rtm.delete('interop-value', answered),
    (answered) => rtm.read('interop-value', answered),
  ]) {
    const answer = await ask(call);
    if (!answer || !answer.action.endsWith('/ok')) fail(`a value: ${JSON.stringify(answer)}`);
    if (answer.action === 'rtm/read/ok') read.push(answer.body.message);
  }
  return JSON.stringify(read) === JSON.stringify([value, null]);
}

async function deliveries() {
  for (let waited = 0; waited < 10000; waited += 20) {
    if (new Set(delivered).size >= COUNT) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  fail(`deliveries: ${delivered.length} of ${COUNT}`);
}

const subscription = rtm.subscribe(CHANNEL, RTM.SubscriptionMode.RELIABLE);
subscription.on('rtm/subscription/data', (pdu) => delivered.push(...pdu.body.messages));
subscription.on('rtm/subscription/error', () => { gaps += 1; });
rtm.on('enter-connected', () => { connects += 1; });
let begun = false;
subscription.on('enter-subscribed', async () => {
  if (begun) return;
  begun = true;
  console.error('subscribed');
  await publish();
  await deliveries();
  const value = await store();
  rtm.stop();
  console.log(JSON.stringify({ acknowledged, delivered, connects, gaps, value }));
  process.exit(0);
});
setTimeout(() => fail('not done within 60 s'), 60000).unref();
rtm.start();
