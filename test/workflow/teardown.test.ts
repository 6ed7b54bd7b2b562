import assert from 'node:assert/strict';
import { createDeploymentReader } from '../../adapters/postgres/deployments.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import type { ScriptedAgent } from '../support/agents/scripted-agent.ts';
import { iniOf, statusesOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { endWorker, spawnWorker } from '../support/temporal/worker-process.ts';
import type { World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

describe('a teardown of many', function () {
  this.timeout(120_000);
  const swarm = scriptedSwarm();
  let sweeps = 0;

  /** Those that deploy what they are told. */
  async function hosts(...names: string[]): Promise<ScriptedAgent[]> {
    const made: ScriptedAgent[] = [];
    for (const name of names) {
      const agent = await swarm.agent(name);
      agent.onDeploy = () => agent.report('succeeded');
      made.push(agent);
    }
    return made;
  }
  async function deploy(text: string, replace = false): Promise<string[]> {
    const accepted = await swarm.world.deploy(text, { replace });
    const ids = [...accepted.lifecycle_ids, ...accepted.removed_lifecycle_ids];
    assert.ok((await swarm.world.ended(ids)).every((row) => row.status === 'succeeded'));
    return ids;
  }
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await swarm.world.database.sql<{ name: string; state: string }[]>`select name, state from fleet_deckies`).map(
        ({ name, state }) => [name, state],
      ),
    );
  const teardowns = async (): Promise<{ decky_name: string; status: string; error: string | null }[]> =>
    swarm.world.database
      .sql`select decky_name, status, error from decky_lifecycle where operation = 'teardown' order by started_at, position`;
  const sweep = (): Promise<unknown> =>
    swarm.world.temporal.client.workflow.execute('sweep', {
      workflowId: `sweep/${swarm.world.id}/${sweeps++}`,
      taskQueue: swarm.world.id,
      args: [],
    });
  const takeDown = (hostUuid: string | null): ReturnType<World['deployments']['operate']> =>
    swarm.world.deployments.operate({
      username: 'admin',
      kind: 'teardown',
      request: { host_uuid: hostUuid, owed: false },
      options: { hostLostAfterMs: 6_000 },
    });

  // proof: owed-teardown
  it('takes all hosts at once and the master’s own engine beside them; one that is lost owes its decky, and its return begins anew after a restart of the worker (gaps B17, C15, C16)', async () => {
    const here = `${swarm.world.id}-here`;
    await deploy(iniOf(here));
    const [h1, h2, h3] = (await hosts('h1', 'h2', 'h3')) as [ScriptedAgent, ScriptedAgent, ScriptedAgent];
    await deploy(iniOf('a', 'b', 'c'));
    await h3.silence();
    const accepted = await takeDown(null);
    assert.equal(accepted.removed_lifecycle_ids.length, 4);
    const rows = await swarm.world.ended(accepted.removed_lifecycle_ids);
    const failed = rows.filter((row) => row.status === 'failed');
    assert.deepEqual(
      failed.map((row) => row.decky_name),
      ['c'],
    );
    assert.match(failed[0]?.error ?? '', /^HostLost: host h3 /);
    assert.deepEqual([h1.teardowns, h2.teardowns, h3.teardowns], [[null], [null], []]);
    assert.deepEqual(await states(), { c: 'tearing_down' });

    await swarm.world.stopWorker();
    await h3.listen();
    await createHostStore(swarm.world.database.sql).markReachable(h3.hostUuid);
    await swarm.world.startWorker();
    await sweep();
    await until('the decky is gone', async () => Object.keys(await states()).length === 0);
    assert.deepEqual(h3.teardowns, [null]);
    await sweep();
    assert.deepEqual(
      (await teardowns()).filter((row) => row.decky_name === 'c').map((row) => row.status),
      ['failed', 'succeeded'],
    );
    const [owed] = await swarm.world.database.sql<{ count: number }[]>`select count(*)::int from owed_teardowns`;
    assert.equal(owed?.count, 0);
  });

  it('of one host leaves the others alone, and so does a second one while the first is under way', async () => {
    const [h1, h2] = (await hosts('h1', 'h2')) as [ScriptedAgent, ScriptedAgent];
    await deploy(iniOf('a', 'b', 'c'));
    await h1.silence();
    const first = await takeDown(h1.hostUuid);
    const second = await takeDown(h1.hostUuid);
    assert.deepEqual([first.removed_lifecycle_ids.length, second.removed_lifecycle_ids.length], [2, 0]);
    await h1.listen();
    const rows = await swarm.world.ended(first.removed_lifecycle_ids);
    assert.ok(rows.every((row) => row.status === 'succeeded'));
    assert.deepEqual([h1.teardowns, h2.teardowns], [[null], []]);
    assert.deepEqual(Object.keys(await states()), ['b']);
  });

  // proof: owed-teardown, gap-b11
  it('of one decky on a lost host is owed just so, and no order brings it back (gaps B18, C16)', async () => {
    const [h1] = (await hosts('h1')) as [ScriptedAgent];
    await deploy(iniOf('a', 'b'));
    await h1.silence();
    const teardown = await swarm.world.deployments.teardown({
      username: 'admin',
      decky_name: 'a',
      options: { hostLostAfterMs: 5_000 },
    });
    const [row] = await swarm.world.ended([teardown.lifecycle_id]);
    assert.match(row?.error ?? '', /^HostLost: /);
    assert.deepEqual(await states(), { a: 'tearing_down', b: 'running' });
    await h1.listen();
    await createHostStore(swarm.world.database.sql).markReachable(h1.hostUuid);
    await deploy(iniOf('d'));
    assert.deepEqual(
      h1.orders.at(-1)?.config.deckies.map((decky) => decky.name),
      ['b', 'd'],
    );
    await sweep();
    await until('the decky is gone', async () => !('a' in (await states())));
    assert.deepEqual(h1.orders.at(-1)?.deckhand?.remove, ['a']);
  });

  it('C4: of one decky on a silent host that is cancelled ends at once, is owed by nobody, and can be asked for again', async () => {
    const [h1] = (await hosts('h1')) as [ScriptedAgent];
    await deploy(iniOf('a'));
    await h1.silence();
    const first = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    const reader = createDeploymentReader(swarm.world.database.sql);
    const detail = async () => (await reader.get(first.lifecycle_id)) ?? assert.fail('it is gone');
    await until('it is begun', async () => (await detail()).rows[0]?.status === 'running');
    await swarm.world.deployments.cancel(first.lifecycle_id);
    const [row] = await swarm.world.ended([first.lifecycle_id]);
    assert.match(row?.error ?? '', /^Cancelled: /);
    await until('the end', async () => (await detail()).outcome === 'cancelled');
    assert.deepEqual(await states(), { a: 'teardown_failed' });
    assert.equal((await swarm.world.database.sql`select 1 from owed_teardowns`).length, 0);
    await h1.listen();
    const again = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    assert.deepEqual(statusesOf(await swarm.world.ended([again.lifecycle_id])), { a: 'succeeded' });
  });

  // proof: gap-b11
  it('replace_fleet reaches a host that receives none and loses all (gap B11)', async () => {
    const [h1, h2] = (await hosts('h1', 'h2')) as [ScriptedAgent, ScriptedAgent];
    await deploy(iniOf('a', 'b'));
    await deploy(iniOf('a'), true);
    assert.deepEqual([h1.teardowns, h2.teardowns], [[], [null]]);
    assert.deepEqual(Object.keys(await states()), ['a']);
  });

  // proof: promise-1
  it('goes on when the worker dies in mid-call: that is no silence of the host', async () => {
    const [h1] = await hosts('h1');
    await deploy(iniOf('a', 'b'));
    await swarm.world.stopWorker();
    const first = await spawnWorker(swarm.world.environment);
    if (h1) h1.onTeardown = () => new Promise(() => undefined);
    const { lifecycle_id } = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    await until('h1 is told', () => h1?.teardowns.length === 1);
    await endWorker(first, 'SIGKILL');
    if (h1) h1.onTeardown = () => undefined;
    const second = await spawnWorker(swarm.world.environment);
    try {
      assert.deepEqual(statusesOf(await swarm.world.ended([lifecycle_id])), { a: 'succeeded' });
    } finally {
      await endWorker(second, 'SIGTERM');
    }
  });
});
