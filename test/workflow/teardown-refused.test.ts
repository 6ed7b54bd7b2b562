import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createHostReports } from '../../adapters/postgres/host-reports.ts';
import { iniOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';

describe('a teardown at which the agent fails', function () {
  this.timeout(60_000);
  const swarm = scriptedSwarm();

  // proof: field-3.8-1
  it('is `teardown_failed` with the agent’s words until somebody tries again', async () => {
    const { world } = swarm;
    const { sql } = world.database;
    const h1 = await swarm.agent('h1');
    h1.onDeploy = () => h1.report('succeeded');
    await world.ended((await world.deploy(iniOf('a', 'b'))).lifecycle_ids);
    h1.failing.set('/teardown', 500);
    const one = await world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    const all = {
      username: 'admin',
      kind: 'teardown',
      request: { host_uuid: h1.hostUuid, owed: false },
      options: {},
    } as const;
    const [row] = await world.ended([one.lifecycle_id], 15_000);
    assert.match(row?.error ?? '', /^HostFailed: .*500, scripted 500/);
    const many = await world.ended((await world.deployments.operate(all)).removed_lifecycle_ids, 15_000);
    assert.deepEqual(
      many.map(({ error }) => error?.split(':')[0]),
      ['HostFailed', 'HostFailed'],
    );
    // The host goes on reporting what it still runs.
    const reports = createHostReports(sql);
    const configs = await createFleetReader(sql).deckies();
    const shard = { reportedState: 'degraded', seen: 'degraded', sentence: null } as const;
    const report = { hash: 'x', agentVersion: null, fenced: true, present: ['a', 'b'], complete: true };
    const taken = await reports.take(h1.hostUuid, 'h1', {
      ...report,
      deckies: configs.map((config) => ({ config, ...shard })),
    });
    assert.equal(taken?.hasPendingTeardowns, false);
    await pause(1_000);
    const [count] = await sql`select count(*)::int as open from decky_lifecycle where completed_at is null`;
    assert.equal(count?.open, 0);
    const shards = await reports.reportedDeckies();
    assert.deepEqual(
      new Set(shards.map((each) => `${each.state} ${each.last_error?.slice(0, 11)}`)),
      new Set(['teardown_failed HostFailed:']),
    );
    assert.equal(shards.length, 2);
    const fleet = (await createFleetReader(sql).overview()).deckies;
    assert.deepEqual(new Set(fleet.map(({ state }) => state)), new Set(['teardown_failed']));
    h1.failing.clear();
    await world.ended((await world.deployments.operate(all)).removed_lifecycle_ids);
    assert.deepEqual((await createFleetReader(sql).overview()).deckies, []);
  });
});
