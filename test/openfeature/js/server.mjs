// OpenFeature's JavaScript server SDK with the provider of the first argument, against the ports in the environment. It ends with an
// error at the first thing that is not as it should be.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { ErrorCode, OpenFeature, ProviderEvents, StandardResolutionReasons } from '@openfeature/server-sdk';
import { FlagdProvider } from '@openfeature/flagd-provider';
import { OFREPProvider } from '@openfeature/ofrep-provider';

const { EVALUATION, SYNC, OFREP, FLAGS, BEFORE, AFTER } = process.env;
const host = '127.0.0.1';
const kind = process.argv[2];
const provider = {
  ofrep: () => new OFREPProvider({ baseUrl: `http://${host}:${OFREP}` }),
  rpc: () => new FlagdProvider({ host, port: Number(EVALUATION), resolverType: 'rpc' }),
  'in-process': () => new FlagdProvider({ host, port: Number(SYNC), resolverType: 'in-process' }),
}[kind]();

const write = (text) => {
  writeFileSync(`${FLAGS}.new`, text);
  renameSync(`${FLAGS}.new`, FLAGS);
};

const eventually = async (what, is) => {
  for (const end = Date.now() + 15_000; !(await is()); await new Promise((r) => setTimeout(r, 20))) {
    assert.ok(Date.now() < end, what);
  }
};

await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
const carol = { targetingKey: 'carol', email: 'carol@example.com' };
const bob = { targetingKey: 'bob', email: 'bob@example.org' };

const on = await client.getBooleanDetails('on', false, bob);
assert.equal(on.value, true);
assert.equal(on.variant, 'on');
assert.ok([StandardResolutionReasons.STATIC, StandardResolutionReasons.CACHED].includes(on.reason), on.reason);
assert.equal(on.flagMetadata.team, 'web');
assert.equal((await client.getStringDetails('text', '', carol)).value, 'b');
assert.equal((await client.getStringDetails('text', '', carol)).reason, StandardResolutionReasons.TARGETING_MATCH);
assert.equal(await client.getStringValue('text', '', bob), 'a');
assert.equal(await client.getNumberValue('whole', 0, bob), 10);
assert.equal(await client.getNumberValue('part', 0, bob), 0.5);
assert.deepEqual(await client.getObjectValue('object', {}, bob), { x: 'y', n: 3 });

const none = await client.getBooleanDetails('none', true, bob);
assert.deepEqual([none.value, none.errorCode], [true, ErrorCode.FLAG_NOT_FOUND]);
const other = await client.getBooleanDetails('text', true, bob);
assert.deepEqual([other.value, other.errorCode], [true, ErrorCode.TYPE_MISMATCH]);
for (const key of ['disabled', 'code']) {
  for (const fallback of [true, false]) {
    assert.equal(await client.getBooleanValue(key, fallback, bob), fallback, key);
  }
}

// Who is in which half, for comparison with the others.
const half = [];
for (let i = 0; i < 100; i++) {
  half.push((await client.getBooleanDetails('share', false, { targetingKey: `user-${i}` })).variant);
}
console.log(half.join(' '));

const told = [];
client.addHandler(ProviderEvents.ConfigurationChanged, (d) => told.push(...(d?.flagsChanged ?? [])));
write(AFTER);
await eventually('the change is not there', async () => (await client.getBooleanValue('on', true, bob)) === false);
if (kind !== 'ofrep') {
  await eventually('the change is not told', () => told.includes('on'));
  assert.ok(!told.includes('whole'), 'a flag is told that did not change');
}
write(BEFORE);
await OpenFeature.close();
process.exit(0); // gRPC's timers would keep it
