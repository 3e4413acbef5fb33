// The JavaScript client of Stream-sea against a server on loopback. It is on no
// registry: STREAM_SEA_JS names the file that its package exports.
//
// Calls every function that the package has, exchanges messages with a client of
// another kind, and prints what it saw as one line of JSON. A subscription is there
// before anything is connected, and never says when it is active: it is asked by
// messages to itself.
'use strict';

const sea = require(process.env.STREAM_SEA_JS);

const SERVER = {
  remoteServerHost: process.env.SEA_HOST,
  remoteServerPort: process.env.SEA_PORT,
  secure: false,
};
const KEYS = {
  ...SERVER,
  clientId: process.env.SEA_CLIENT_ID,
  clientSecret: process.env.SEA_CLIENT_SECRET,
};
const COUNT = Number(process.env.SEA_MESSAGES);
const OURS = 'from_them';
const THEIRS = 'from_us';

let calls = 0;

function check(what, holds) {
  if (!holds) throw new Error(`${what}: not as it should be`);
  calls += 1;
}

async function refused(what, call, status) {
  try {
    await call();
  } catch (error) {
    return check(what, error.statusCode === status);
  }
  throw new Error(`${what}: it is taken`);
}

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

async function schemas() {
  const fields = [
    { name: 'n', type: 'integer' },
    { name: 'kind', type: 'enum', enum: ['message', 'ready'] },
  ];
  const ours = { ...KEYS, stream: OURS, name: OURS, version: 2, fields };
  const define = (options) => sea.defineStream(options);
  await define(ours);
  check('define', true);
  await define(ours);
  check('define again', true);
  await refused('define lower', () => define({ ...ours, version: 1 }), 400);
  await define({ ...KEYS, stream: THEIRS, name: THEIRS, version: 1, fields: [] });
  const stored = await sea.describeStream({ ...KEYS, stream: OURS });
  check('describe', stored.version === 2 && stored.fields.length === 2);
  await refused('describe nobody', () => sea.describeStream({ ...KEYS, stream: 'nobody' }), 404);
  const schemaNames = [OURS, 'nobody', THEIRS];
  const vector = await sea.getSchemaVersionsVector({ ...KEYS, schemaNames });
  check('versions vector', JSON.stringify(vector) === '[2,null,1]');
}

async function administration() {
  const made = await sea.createClient({
    ...KEYS,
    targetClientId: 'made',
    targetClientDescription: 'by a test',
  });
  check('create client', made.givenId === 'made');
  const asMade = { ...SERVER, clientId: 'made', clientSecret: made.secret };
  const rotated = await sea.rotateClientSecret(asMade);
  check('rotate secret', rotated.secret !== made.secret);
  await refused('old secret', () => sea.describeStream({ ...asMade, stream: OURS }), 401);
  const now = { ...asMade, clientSecret: rotated.secret };
  const key = await sea.rotateClientJwtPublicKey({ ...now, jwtPublicKey: null });
  check('rotate key', key.givenId === 'made' && key.jwtPublicKey === null);
  await sea.deleteClient({ ...KEYS, targetClientId: 'made' });
  check('delete client', true);
  const jail = await sea.createJail({
    ...KEYS,
    targetJailId: 'cell',
    targetJailName: 'a cell',
    targetClientId: 'prisoner',
  });
  check('create jail', jail.newJailId === 'cell');
  await sea.deleteJail({ ...KEYS, targetJailId: 'cell' });
  check('delete jail', true);
}

async function exchange() {
  const delivered = [];
  const theirs = await sea.subscribe({ ...KEYS, stream: THEIRS, fanout: true });
  let active = false;
  const over = new Promise((resolve) => {
    theirs.on('message', (payload) => {
      if (payload.probe) active = true;
      else if (payload.over) resolve();
      else delivered.push(payload.n);
    });
  });
  while (!active) {
    await sea.publish({ ...KEYS, stream: THEIRS, payload: { probe: true } });
    await pause(50);
  }
  check('subscribe', true);
  await sea.publish({ ...KEYS, stream: OURS, payload: { kind: 'ready', n: 0 } });
  for (let n = 1; n <= COUNT; n += 1) {
    await sea.publish({ ...KEYS, stream: OURS, payload: { kind: 'message', n } });
  }
  check('publish', true);
  await over;
  return delivered;
}

async function main() {
  await schemas();
  await administration();
  const delivered = await exchange();
  console.log(JSON.stringify({ delivered, calls }));
  // Its sockets keep the process.
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
