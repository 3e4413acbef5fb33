// The JavaScript SDK of emitter against a broker on loopback, over WebSocket, which
// is all it speaks.
//
// Makes every call of it, says that it is there, receives what the other side
// publishes, publishes as much, and prints what it saw as one line of JSON.
'use strict';

// The SDK prints requests to stdout, which is ours.
const print = console.log;
console.log = (...words) => console.error(...words);

const { connect } = require('emitter-io');

const { EMITTER_HOST, EMITTER_PORT, EMITTER_SECURE, EMITTER_SECRET, EMITTER_KEY } = process.env;
let calls = 0;

function fail(what) {
  console.error(what);
  process.exit(1);
}

function check(what, holds, found) {
  if (!holds) fail(`${what}: ${JSON.stringify(found)}`);
  calls += 1;
}

/** Collects what an event is called with; `next` resolves to the oldest of it. */
function listen(client, event) {
  const seen = [];
  const waiting = [];
  client.on(event, (value) => {
    const first = waiting.shift();
    if (first) first(value);
    else seen.push(value);
  });
  return {
    next(what) {
      if (seen.length > 0) return Promise.resolve(seen.shift());
      return new Promise((resolve) => {
        const late = setTimeout(() => fail(`nothing came: ${what}`), 10000);
        waiting.push((value) => {
          clearTimeout(late);
          resolve(value);
        });
      });
    },
  };
}

function open(username) {
  return new Promise((resolve) => {
    const options = {
      host: EMITTER_HOST,
      port: Number(EMITTER_PORT),
      secure: EMITTER_SECURE === '1',
      username,
    };
    const client = connect(options, () => resolve(client));
  });
}

async function everyCall(client, other) {
  const keys = listen(client, 'keygen');
  client.keygen({ key: EMITTER_SECRET, channel: 'made/', type: 'rwslp', ttl: 0 });
  const made = await keys.next('keygen');
  check('keygen', made.status === 200 && made.channel === 'made/', made);

  const messages = listen(client, 'message');
  const others = listen(other, 'message');
  client.subscribe({ key: made.key, channel: 'made' });
  client.publish({ key: made.key, channel: 'made', message: 'stored', ttl: 60 });
  const stored = await messages.next('publish');
  check('publish', stored.channel === 'made/' && stored.asString() === 'stored', stored);
  other.subscribe({ key: made.key, channel: 'made', last: 5 });
  check('last', (await others.next('last')).asString() === 'stored');
  client.publish({ key: made.key, channel: 'made', message: '{"a":1}', me: false });
  check('me: false', (await others.next('me: false')).asObject().a === 1);

  client.link({
    key: EMITTER_KEY, channel: 'linked', name: 'a0', private: false, subscribe: true, ttl: 60,
  });
  client.publishWithLink({ link: 'a0', message: 'via link' });
  let linked = await messages.next('link');
  while (linked.channel.startsWith('emitter/')) linked = await messages.next('link');
  check('link', linked.channel === 'linked/' && linked.asString() === 'via link', linked);
  const mes = listen(client, 'me');
  client.me();
  const me = await mes.next('me');
  check('me', me.id.length === 26 && me.links.a0 === 'linked/?me=1&ttl=60', me);

  const events = listen(client, 'presence');
  other.subscribe({ key: EMITTER_KEY, channel: 'present' });
  let status;
  do {
    client.presence({ key: EMITTER_KEY, channel: 'present', status: true, changes: true });
    status = await events.next('presence');
  } while (status.event !== 'status' || status.who.length === 0);
  check('presence', status.who[0].username === 'other', status);
  other.unsubscribe({ key: EMITTER_KEY, channel: 'present' });
  let gone = await events.next('unsubscribe');
  while (gone.event !== 'unsubscribe') gone = await events.next('unsubscribe');
  check('unsubscribe', gone.who.username === 'other', gone);
}

async function main() {
  const [client, other] = await Promise.all([open('alice'), open('other')]);
  await everyCall(client, other);
  const delivered = [];
  const exchange = await open('exchange');
  const got = listen(exchange, 'message');
  exchange.subscribe({ key: EMITTER_KEY, channel: 'from_us', last: 0 });
  exchange.publish({ key: EMITTER_KEY, channel: 'from_them', message: '0' });
  for (;;) {
    const text = (await got.next('from_us')).asString();
    if (text === 'over') break;
    delivered.push(Number(text));
    exchange.publish({ key: EMITTER_KEY, channel: 'from_them', message: text });
  }
  const done = listen(exchange, 'me');
  exchange.me();
  await done.next('me');
  print(JSON.stringify({ delivered, calls }));
  process.exit(0);
}

main().catch((error) => fail(error.stack));
