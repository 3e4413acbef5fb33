// The JavaScript SDK of Satori RTM as one of many kinds of client.
//
// Publishes the messages of RTM_SPEAK to their channel, then hears the channels of
// RTM_HEAR from the beginning of their history, and prints what it heard as one line of
// JSON. A byte string stands in JSON as {"$bytes": HEX}.
'use strict';

const RTM = require('satori-rtm-sdk');

// The SDK writes what goes wrong to stdout, which is ours.
RTM.logger.error = (...words) => console.error(...words);

function fail(what) {
  console.error(what);
  process.exit(1);
}

/** What a line of JSON means. */
function meant(value) {
  if (Array.isArray(value)) return value.map(meant);
  if (value && typeof value === 'object') {
    if (typeof value.$bytes === 'string') return new Uint8Array(Buffer.from(value.$bytes, 'hex'));
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, meant(inner)]));
  }
  return value;
}

/** The other way round. */
function told(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(told);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, told(inner)]));
  }
  return value === undefined ? null : value;
}

const rtm = new RTM(process.env.RTM_ENDPOINT, process.env.RTM_APPKEY, {
  protocol: process.env.RTM_PROTOCOL,
});

function publish(channel, message) {
  return new Promise((resolve) => {
    rtm.publish(channel, meant(message), (pdu) => {
      if (pdu.action !== 'rtm/publish/ok') fail(`${JSON.stringify(message)}: ${pdu.action}`);
      resolve();
    });
  });
}

function hear(channel, count) {
  return new Promise((resolve) => {
    const heard = [];
    const subscription = rtm.subscribe(channel, RTM.SubscriptionMode.ADVANCED, {
      history: { count },
    });
    subscription.on('rtm/subscription/data', (pdu) => {
      heard.push(...pdu.body.messages.map(told));
      if (heard.length >= count) resolve([channel, heard]);
    });
    subscription.on('rtm/subscribe/error', (pdu) => fail(JSON.stringify(pdu)));
  });
}

let begun = false;
rtm.on('enter-connected', async () => {
  if (begun) return;
  begun = true;
  for (const [channel, messages] of Object.entries(JSON.parse(process.env.RTM_SPEAK))) {
    for (const message of messages) await publish(channel, message);
  }
  const wanted = Object.entries(JSON.parse(process.env.RTM_HEAR));
  const heard = await Promise.all(wanted.map(([channel, count]) => hear(channel, count)));
  rtm.stop();
  console.log(JSON.stringify(Object.fromEntries(heard)));
  process.exit(0);
});
setTimeout(() => fail('not done within 30 s'), 30000).unref();
rtm.start();
