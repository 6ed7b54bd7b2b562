import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSimulatedEngine } from '../../engine/simulated.ts';
import type { DeckySpec } from '../../fleet/compose.ts';

const NETWORK = { driver: 'bridge', interface: '', subnet: '10.0.0.0/24', gateway: '10.0.0.1' } as const;
const spec = (decky: string, ip: string): DeckySpec => ({
  decky,
  keys: [decky, `${decky}-http`],
  services: {
    [decky]: { container_name: decky, networks: { decnet_lan: { ipv4_address: ip } } },
    [`${decky}-http`]: { container_name: `${decky}-http`, network_mode: `service:${decky}` },
  },
});

describe('the simulated engine', () => {
  let stateDir = '';
  const engine = (instance = 'i1') => createSimulatedEngine({ scope: { instance, project: 'p' }, stateDir });
  beforeEach(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'deckhand-simulated-'));
  });
  afterEach(() => rm(stateDir, { recursive: true, force: true }));

  it('says that it is one', () => {
    assert.equal(engine().simulated, true);
  });

  it('brings up, leaves alone what is unchanged, notices what changed', async () => {
    const one = engine();
    assert.equal((await one.up(spec('a', '10.0.0.5'), NETWORK)).unchanged, false);
    assert.equal((await one.up(spec('a', '10.0.0.5'), NETWORK)).unchanged, true);
    const [same, other, missing] = await one.observe([
      spec('a', '10.0.0.5'),
      spec('a', '10.0.0.6'),
      spec('b', '10.0.0.7'),
    ]);
    assert.equal(same?.asSpecified, true);
    assert.equal(same?.containers[0]?.ip, '10.0.0.5');
    assert.deepEqual(other?.differences, ['its configuration changed']);
    assert.deepEqual(missing?.differences, ['it is missing']);
  });

  it('remembers its deckies over a restart, and only those of its instance', async () => {
    const one = engine();
    await Promise.all(['a', 'b', 'c'].map((name, index) => one.up(spec(name, `10.0.0.${5 + index}`), NETWORK)));
    assert.deepEqual(await engine().deckies(), ['a', 'b', 'c']);
    assert.deepEqual(await engine('i2').deckies(), []);
  });

  it('takes a torn state file for nothing', async () => {
    await writeFile(join(stateDir, 'p.json'), '{"instance": "i1", "deck');
    assert.deepEqual(await engine().deckies(), []);
  });

  it('refuses an address that another decky has', async () => {
    const one = engine();
    await one.up(spec('a', '10.0.0.5'), NETWORK);
    await assert.rejects(one.up(spec('b', '10.0.0.5'), NETWORK), { code: 'AddressTaken' });
    assert.deepEqual(await one.deckies(), ['a']);
  });

  it('is healthy by time, and fails for what is not there', async () => {
    const one = engine();
    await one.up(spec('a', '10.0.0.5'), NETWORK);
    assert.deepEqual(await one.health(spec('a', '10.0.0.5'), 0), { status: 'healthy' });
    assert.equal((await one.health(spec('a', '10.0.0.5'), 3_600_000)).status, 'waiting');
    assert.equal((await one.health(spec('b', '10.0.0.6'), 0)).status, 'failed');
  });

  it('takes down, and keeps the network while a decky is left', async () => {
    const one = engine();
    await one.up(spec('a', '10.0.0.5'), NETWORK);
    await one.up(spec('b', '10.0.0.6'), NETWORK);
    assert.deepEqual(await one.down('a'), ['a', 'a-http']);
    assert.deepEqual(await one.down('a'), []);
    assert.equal(await one.removeNetworkIfUnused(), false);
    assert.deepEqual(await one.purge(), { containers: 2, networks: 1, stuck: [] });
    assert.deepEqual(await engine().deckies(), []);
  });
});
