import assert from 'node:assert/strict';
import { iniOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';

describe('a request that was stored with durations of 0', function () {
  this.timeout(60_000);
  const swarm = scriptedSwarm();
  const NOTHING = { minHealthyTimeMs: 0, healthyDeadlineMs: 0, progressDeadlineMs: 0, hostLostAfterMs: 0 };

  it('ends on the master’s own engine, and the next one has its turn', async () => {
    const first = await swarm.world.deploy(iniOf(`${swarm.world.id}-a`), { options: NOTHING });
    const [row] = await swarm.world.ended(first.lifecycle_ids, 30_000);
    assert.ok(row?.completed_at, 'the row ends');
    const next = await swarm.world.deploy(iniOf(`${swarm.world.id}-b`));
    assert.equal((await swarm.world.ended(next.lifecycle_ids))[0]?.status, 'succeeded');
  });

  // proof: field-1.1-1
  it('ends on a silent host: a teardown of one decky, a deploy, a teardown of all', async () => {
    const host = await swarm.agent('h1');
    host.onDeploy = () => host.report('succeeded');
    const there = await swarm.world.deploy(iniOf('a', 'b'));
    await swarm.world.ended(there.lifecycle_ids);
    await host.silence();
    const by = { username: 'admin', options: NOTHING };
    const one = await swarm.world.deployments.teardown({ ...by, decky_name: 'a' });
    const more = await swarm.world.deploy(iniOf('c'), { options: NOTHING });
    const ids = [one.lifecycle_id, ...more.lifecycle_ids];
    for (const row of await swarm.world.ended(ids, 45_000))
      assert.match(row.error ?? '', /^HostLost: /, row.decky_name);
    const request = { host_uuid: host.hostUuid, owed: false };
    const all = await swarm.world.deployments.operate({ ...by, kind: 'teardown', request });
    const rows = await swarm.world.ended(all.removed_lifecycle_ids, 45_000);
    assert.ok(rows.length > 0 && rows.every((row) => row.completed_at !== null));
  });
});
