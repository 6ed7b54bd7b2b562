import assert from 'node:assert/strict';
import { createDriftReader } from '../../adapters/postgres/drift.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { OURS, reportingHost, statusOf } from '../support/agents/reporting-host.ts';

describe('drift of a host', function () {
  this.timeout(60_000);
  const on = reportingHost();
  const { fresh, sql, deployed, end, up, heartbeat, configs } = on;

  const drift = async () =>
    (await createDriftReader(sql()).drift({})).map((one) => `${one.decky_name} ${one.host_name} ${one.reason}`);
  const unknown = async () => (await createDriftReader(sql()).unknown({})).map((one) => [one.host_name, one.deckies]);
  const stateOf = async (name: string) =>
    (await createFleetReader(sql()).overview()).deckies.find((one) => one.name === name)?.state;
  const ours = (deckies: object, more: object = {}) => ({ deckhand: { ...OURS.deckhand, deckies, ...more } });

  it('is what an agent of ours has compared, and ends with the report in which it is mended', async () => {
    const [a, b] = [fresh(), fresh()];
    await up(a, b);
    const seen = await configs([a, b]);
    const differs = {
      drift: [
        { reason: 'moved_address', container: a },
        { reason: 'missing', container: `${a}-ssh` },
      ],
    };
    const orphans = ['left', b, '../etc'];
    await heartbeat({ status: statusOf(seen, true, ours({ [a]: differs }, { orphans })) });
    assert.deepEqual(await drift(), [`${a} h1 missing`, `${a} h1 moved_address`, 'left h1 orphan']);
    await heartbeat({ status: statusOf(seen, true, ours({ [a]: { drift: [] } }, { orphans: [] })) });
    assert.deepEqual(await drift(), []);
  });

  it('names at most a thousand that nobody wants', async () => {
    const a = fresh();
    await up(a);
    const orphans = Array.from({ length: 1_500 }, (_, index) => `left-${index}`);
    await heartbeat({ status: statusOf(await configs([a]), true, ours({ [a]: { drift: [] } }, { orphans })) });
    assert.equal((await drift()).length, 1_000);
  });

  it('of an agent of DECNET is what its states and its version of a decky tell', async () => {
    const [a, b, c] = [fresh(), fresh(), fresh()];
    await up(a, b, c);
    const [one, two] = await configs([a, b]);
    assert.ok(one && two);
    await heartbeat({ status: statusOf([one, { ...two, services: ['ftp'] }], false) });
    assert.deepEqual(await drift(), [
      `${a} h1 exited`,
      `${b} h1 exited`,
      `${b} h1 other_configuration`,
      `${c} h1 missing`,
    ]);
  });

  it('is nothing while a row is open, or the agent is at work, and what it says of no reason is dropped', async () => {
    const a = fresh();
    const { ids } = await deployed(a);
    const seen = await configs([a]);
    const differs = { drift: [{ reason: 'missing', container: a }] };
    await heartbeat({ status: statusOf(seen, true, ours({ [a]: differs })) });
    assert.deepEqual(await drift(), []);
    await on.swarm.dispatch(ids);
    await end(ids);
    await heartbeat({ status: statusOf(seen, true, ours({ [a]: { ...differs, status: 'running' } })) });
    assert.deepEqual(await drift(), []);
    const nonsense = { drift: [{ reason: 'gone', container: a }, { reason: 'exited', container: '\u0000' }, 7] };
    await heartbeat({ status: statusOf(seen, true, ours({ [a]: nonsense })) });
    assert.deepEqual(await drift(), []);
  });

  // proof: unknown-never-gone
  it('is unknown, never gone, where the host’s engine does not answer, and where the host is silent', async () => {
    const a = fresh();
    await up(a);
    const seen = await configs([a]);
    await heartbeat({ status: statusOf(seen, null, OURS) });
    assert.deepEqual([await drift(), await unknown(), await stateOf(a)], [[], [['h1', 1]], 'unknown']);
    await heartbeat({ status: statusOf(seen, true, OURS) });
    assert.deepEqual([await unknown(), await stateOf(a)], [[], 'running']);
    await on.swarm.hosts.markUnreachable(on.host.host.uuid);
    assert.deepEqual([await unknown(), await stateOf(a)], [[['h1', 1]], 'unknown']);
  });
});
