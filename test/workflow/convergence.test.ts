import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import Docker from 'dockerode';
import type { EngineLook } from '../../activities/convergence.ts';
import { createDriftReader } from '../../adapters/postgres/drift.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { ensureHousekeeping } from '../../adapters/temporal/schedules.ts';
import { createLocalEngine } from '../../engine/local-engine.ts';
import { housekeepingWorkflowId, reconcileWorkflowId } from '../../fleet/housekeeping.ts';
import type { NewOperationRequest } from '../../fleet/requests.ts';
import { createLogger } from '../../lib/logger.ts';
import { type EngineProxy, engineProxy } from '../support/docker/engine-proxy.ts';
import { leaveBehind } from '../support/docker/left-behind.ts';
import { testServers } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

describe('convergence on the master’s own engine', function () {
  this.timeout(120_000);
  let proxy: EngineProxy;
  let world: World;
  let [a, b]: [string, string] = ['', ''];
  const docker = () => new Docker({ socketPath: (testServers.dockerHost ?? '').replace('unix://', '') });

  before(async function () {
    if (!testServers.dockerHost) return this.skip();
    proxy = await engineProxy(testServers.dockerHost);
    world = await createWorld({ dockerHost: proxy.host });
    [a, b] = [`${world.id}-a`, `${world.id}-b`];
    await succeed(await world.deploy(iniOf(a, b)));
  });
  after(async () => {
    if (!world) return;
    await world.close();
    await proxy.close();
    const config = { ...world.config, dockerHost: testServers.dockerHost ?? '' };
    await (await createLocalEngine(config, createLogger('test'))).engine.purge();
  });

  const iniOf = (...names: string[]): string => names.map((name) => `[${name}]\nservices=redis\n`).join('');
  async function succeed({ lifecycle_ids }: { lifecycle_ids: readonly string[] }) {
    const rows = await world.ended(lifecycle_ids);
    for (const row of rows) assert.equal(row.status, 'succeeded', row.error ?? '');
    return rows;
  }
  const look = (): Promise<EngineLook> =>
    world.temporal.client.workflow.execute('lookAtEngine', {
      workflowId: `look/${randomUUID()}`,
      taskQueue: world.id,
      args: [],
    });
  const operate = (asked: Extract<NewOperationRequest, { kind: 'reconcile' | 'stop' | 'start' }>) =>
    world.deployments.operate({ username: 'admin', ...asked, options: { minHealthyTimeMs: 0 } });
  const reconcile = () => operate({ kind: 'reconcile', request: { deckies: null, host: null } });
  const reader = () => createDriftReader(world.database.sql);
  const drift = async (): Promise<string[]> => {
    await look();
    return (await reader().drift({})).map((one) => `${one.decky_name} ${one.reason}`);
  };
  const stateOf = async (name: string) =>
    (await createFleetReader(world.database.sql).overview()).deckies.find((one) => one.name === name)?.state;
  /** Containers of a decky with their ids; running ones only unless told otherwise. */
  async function containers(of: string, all = false): Promise<Record<string, string>> {
    const found = await docker().listContainers({ all, filters: { label: [`deckhand.decky=${of}`] } });
    return Object.fromEntries(found.map((one) => [one.Names[0]?.slice(1) ?? '', one.Id]));
  }

  it('sees none in what was just deployed', async () => {
    assert.deepEqual(await drift(), []);
    assert.deepEqual([...(await reader().mendable({ deckies: null, host: null }))], []);
  });

  // proof: drift, field-3.1-2
  it('sees a container that was removed by hand, and mends that decky alone', async () => {
    const neighbour = await containers(b);
    await docker().getContainer(`${a}-redis`).remove({ force: true });
    assert.deepEqual(await drift(), [`${a} missing`]);
    assert.deepEqual([await stateOf(a), await stateOf(b)], ['degraded', 'running']);
    const [entry] = await reader().drift({ decky: a });
    assert.equal(entry?.detail, `${a}-redis: it is missing`);
    const rows = await succeed(await reconcile());
    assert.deepEqual(
      rows.map((row) => [row.decky_name, row.operation]),
      [[a, 'deploy']],
    );
    assert.deepEqual(Object.keys(await containers(a)).sort(), [a, `${a}-redis`]);
    assert.deepEqual(await containers(b), neighbour);
    assert.deepEqual(await drift(), []);
  });

  // proof: drift
  it('starts what the engine left behind when it came back, and calls it no drift', async () => {
    const before = await containers(a);
    await leaveBehind(docker(), a, `${a}-redis`);
    assert.deepEqual(await drift(), []);
    assert.deepEqual(await containers(a), before);
  });

  // proof: drift
  it('tells reasons apart: exited, a moved address, and what nobody wants', async () => {
    const network = `${world.id}_lan`;
    await docker().getContainer(`${a}-redis`).stop({ t: 0 });
    await docker().getNetwork(network).disconnect({ Container: b, Force: true });
    await docker()
      .getNetwork(network)
      .connect({
        Container: b,
        EndpointConfig: { IPAMConfig: { IPv4Address: world.pool.replace('0/24', '99') } },
      });
    const [spec] = world.local.resolve(
      (await createFleetReader(world.database.sql).deckies()).slice(0, 1).map((config) => ({
        config: { ...config, name: `${world.id}-x`, ip: world.pool.replace('0/24', '77') },
        custom_services: [],
      })),
    ).deckies;
    assert.ok(spec);
    await world.local.engine.up(spec, {
      driver: 'bridge',
      interface: '',
      subnet: world.pool,
      gateway: world.pool.replace('0/24', '1'),
    });
    assert.deepEqual(await drift(), [`${a} exited`, `${b} moved_address`, `${world.id}-x orphan`]);
    const accepted = await reconcile();
    await succeed({ lifecycle_ids: [...accepted.lifecycle_ids, ...accepted.removed_lifecycle_ids] });
    assert.equal(accepted.removed_lifecycle_ids.length, 1);
    assert.deepEqual(await containers(`${world.id}-x`, true), {});
    assert.deepEqual(await drift(), []);
  });

  // proof: stays-stopped
  it('keeps a stopped decky stopped through a deploy of its neighbours, a reconcile and a replace_fleet', async () => {
    await succeed(await operate({ kind: 'stop', request: { decky_name: a } }));
    const kept = await containers(a, true);
    const still = async () => {
      assert.deepEqual(await containers(a), {});
      assert.deepEqual(await containers(a, true), kept, 'its containers stay');
      assert.equal(await stateOf(a), 'stopped');
      assert.deepEqual(await drift(), []);
    };
    await still();
    await succeed(await world.deploy(iniOf(`${world.id}-c`)));
    await docker().getContainer(`${b}-redis`).remove({ force: true });
    assert.deepEqual(await drift(), [`${b} missing`]);
    await succeed(await reconcile());
    await still();
    await succeed(await world.deploy(iniOf(a, b), { replace: true }));
    await still();
    await assert.rejects(
      world.deployments.mutate({ username: 'admin', decky_name: a, services: null, options: {}, idempotency: null }),
      { code: 'DeckyStopped' },
    );
    await docker().getContainer(a).start();
    assert.deepEqual(await drift(), [`${a} other_configuration`]);
    await succeed(await reconcile());
    await still();
    await succeed(await operate({ kind: 'start', request: { decky_name: a } }));
    assert.deepEqual(Object.keys(await containers(a)).sort(), [a, `${a}-redis`]);
    assert.deepEqual([await stateOf(a), await drift()], ['running', []]);
  });

  it('runs a stopped decky that is asked for as another version', async () => {
    await succeed(await operate({ kind: 'stop', request: { decky_name: b } }));
    await succeed(await world.deploy(`${iniOf(a)}[${b}]\nservices=ssh\n`, { replace: true }));
    assert.deepEqual(Object.keys(await containers(b)).sort(), [b, `${b}-ssh`]);
    assert.equal(await stateOf(b), 'running');
  });

  // proof: unknown-never-gone
  it('knows nothing, and takes nothing for gone, while the engine does not answer', async () => {
    await proxy.away();
    try {
      assert.deepEqual(await look(), { answered: false, drifting: 0, owed: [] });
      assert.deepEqual([await stateOf(a), await stateOf(b)], ['unknown', 'unknown']);
      const [silent] = await reader().unknown({});
      assert.deepEqual([silent?.host_uuid, silent?.deckies], [null, 2]);
      assert.deepEqual([...(await reader().mendable({ deckies: null, host: null }))], []);
    } finally {
      await proxy.back();
    }
    assert.deepEqual(await drift(), []);
    assert.deepEqual([await stateOf(a), (await reader().unknown({})).length], ['running', 0]);
  });

  // proof: reconcile-interval
  it('mends by the clock where an interval is set, and leaves a decky alone that it mended just now', async () => {
    const byClock = (): Promise<string> =>
      world.temporal.client.workflow.execute('reconcileFleet', {
        workflowId: `reconcile/${randomUUID()}`,
        taskQueue: world.id,
        args: [{ searchAttributes: true }],
      });
    await docker().getContainer(`${a}-redis`).remove({ force: true });
    assert.equal(await byClock(), 'nothing is due');
    await createSettings(world.database.sql).setReconcileInterval('1m');
    assert.equal(await byClock(), '1 succeeded, 0 failed');
    await docker().getContainer(`${a}-redis`).remove({ force: true });
    assert.equal(await byClock(), 'nothing is due', 'a decky that goes again and again would cause a deploy a minute');
    await world.database.sql`alter table decky_lifecycle disable trigger guard_lifecycle`;
    await world.database
      .sql`update decky_lifecycle set started_at = started_at - interval '61 seconds' where deployment_id in
      (select id from deployments where username = 'reconcile')`;
    await world.database.sql`alter table decky_lifecycle enable trigger guard_lifecycle`;
    assert.equal(await byClock(), '1 succeeded, 0 failed');
  });

  // proof: field-3.15-1
  it('is mended by housekeeping soon after an interval is set, and by nobody without one', async () => {
    const { client } = world.temporal;
    await createSettings(world.database.sql).setReconcileInterval(null);
    await world.database.sql`alter table decky_lifecycle disable trigger guard_lifecycle`;
    await world.database.sql`update decky_lifecycle set started_at = started_at - interval '1 day'`;
    await world.database.sql`alter table decky_lifecycle enable trigger guard_lifecycle`;
    await docker().getContainer(`${a}-redis`).remove({ force: true });
    const handle = client.workflow.getHandle(housekeepingWorkflowId(world.id));
    const seen = async () => ((await handle.fetchHistory()).events ?? []).map((event) => event ?? {});
    const input = { lookMs: 3_600_000, sweepMs: 3_600_000, clockMs: 200 };
    await ensureHousekeeping(client, { taskQueue: world.id, searchAttributes: true, input, anew: true });
    try {
      const readings = async () =>
        (await seen()).filter(
          (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'readIntervals',
        ).length;
      await until('three readings of the intervals', async () => (await readings()) > 3);
      const begun = async () =>
        (await seen()).flatMap((event) => event.childWorkflowExecutionStartedEventAttributes?.workflowExecution ?? []);
      assert.deepEqual(await begun(), []);
      await createSettings(world.database.sql).setReconcileInterval('1m');
      await until('what mends', async () => (await begun()).length > 0);
      const [execution] = await begun();
      assert.equal(execution?.workflowId, reconcileWorkflowId(world.id));
      assert.equal(await client.workflow.getHandle(`${execution?.workflowId}`).result(), '1 succeeded, 0 failed');
    } finally {
      await handle.terminate('the test is over');
    }
    assert.deepEqual(await drift(), []);
  });

  it('tells of each drift when it begins and when it ends', async () => {
    const events = await world.database.sql<{ payload: { status: string; reason: string } }[]>`
      select payload from outbox where type = 'drift' and decky_name = ${a} order by id limit 4`;
    assert.deepEqual(
      events.map(({ payload }) => `${payload.reason} ${payload.status}`),
      ['missing begun', 'missing ended', 'exited begun', 'exited ended'],
    );
  });
});
