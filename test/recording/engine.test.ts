/**
 * Records the histories that test/replay/ replays: `npm run record:histories`. They stand under the release that made them.
 * What a released version recorded is never changed: a new scenario or release adds files.
 */
import Docker from 'dockerode';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { ensureHousekeeping } from '../../adapters/temporal/schedules.ts';
import {
  deployWorkflowId,
  housekeepingWorkflowId,
  mutateWorkflowId,
  reconcileWorkflowId,
  teardownWorkflowId,
} from '../../fleet/housekeeping.ts';
import { testServers } from '../support/stack/stack.ts';
import { historyRecording } from '../support/temporal/history-recording.ts';
import { endWorker, spawnWorker } from '../support/temporal/worker-process.ts';
import type { World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

describe('recording histories on the master’s own engine', () => {
  const on = historyRecording();
  const { save, both, closed, mutate } = on;
  let world: World;
  beforeEach(() => {
    world = on.world;
  });

  it('all well, and a teardown', async () => {
    await world.startWorker();
    const accepted = await world.deploy('[a]\nservices=redis\n[b]\nservices=http,ssh\n', {
      options: { minHealthyTimeMs: 1_000 },
    });
    await closed(accepted.deployment_id);
    await save('all-well', both(accepted.deployment_id));
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    await world.temporal.client.workflow.getHandle(teardownWorkflowId(lifecycle_id)).result();
    await save('teardown', { 'teardown-decky': teardownWorkflowId(lifecycle_id) });
  });

  it('without a healthy time: deploy, mutation and teardown', async () => {
    await world.startWorker();
    const accepted = await world.deploy('[a]\nservices=redis\n[b]\nservices=http,ssh\n');
    await closed(accepted.deployment_id);
    await save('at-once', both(accepted.deployment_id));
    const { deployment_id: mutation } = await world.deployments.mutate({
      username: 'admin',
      decky_name: 'a',
      services: ['ssh'],
      idempotency: null,
      options: {},
    });
    await world.temporal.client.workflow.getHandle(mutateWorkflowId(mutation)).result();
    const { lifecycle_id: teardown } = await world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    await world.temporal.client.workflow.getHandle(teardownWorkflowId(teardown)).result();
    await save('at-once', {
      'mutate-decky': mutateWorkflowId(mutation),
      'teardown-decky': teardownWorkflowId(teardown),
    });
  });

  it('one fails', async () => {
    await world.startWorker();
    const accepted = await world.deploy(
      '[custom-ghost]\nbinary=deckhand.invalid/ghost:1\n[bad]\nservices=ghost\n[good]\nservices=redis\n',
    );
    await closed(accepted.deployment_id);
    await save('one-fails', both(accepted.deployment_id));
  });

  it('rejected by conflict', async () => {
    await world.startWorker();
    await closed((await world.deploy('[a]\nservices=redis\n')).deployment_id);
    await world.deploy('[a]\nservices=ssh\n').catch(() => undefined);
    const [refused] = await world.database.sql<{ id: string }[]>`select id from deployments where state = 'refused'`;
    await closed(refused?.id ?? '');
    await save('rejected-by-conflict', { 'deploy-fleet': deployWorkflowId(refused?.id ?? '') });
  });

  it('worker killed in the middle', async () => {
    const first = await spawnWorker(world.environment);
    const accepted = await world.deploy('[a]\nservices=redis\n[b]\nservices=http,ssh\n', {
      options: { minHealthyTimeMs: 3_000 },
    });
    await endWorker(first, 'SIGKILL');
    const second = await spawnWorker(world.environment);
    await closed(accepted.deployment_id);
    await endWorker(second, 'SIGTERM');
    await save('worker-killed', both(accepted.deployment_id));
  });

  it('a turn that is waited for, and a cancel', async () => {
    await world.startWorker();
    const first = await world.deploy('[a]\nservices=redis\n', { options: { minHealthyTimeMs: 2_000 } });
    const second = await world.deploy('[b]\nservices=redis\n', { options: { minHealthyTimeMs: 60_000 } });
    await closed(first.deployment_id);
    await world.deployments.waitForRows(second.lifecycle_ids, 4_000);
    await world.temporal.client.workflow.getHandle(deployWorkflowId(second.deployment_id)).cancel();
    await world.ended(second.lifecycle_ids);
    await closed(second.deployment_id).catch(() => undefined);
    await save('waited-and-cancelled', both(second.deployment_id));
  });

  it('mutations: all well, one that fails, and rotations', async () => {
    await world.startWorker();
    await closed((await world.deploy('[a]\nservices=redis\n[b]\nservices=redis\n')).deployment_id);
    await mutate('mutate-all-well', ['ssh']);
    await mutate('mutate-fails', ['ftp'], { minHealthyTimeMs: 600_000, healthyDeadlineMs: 1_000 });
    const rotate = async (workflowType: string, input: object): Promise<void> => {
      const workflowId = `${workflowType}/${world.id}`;
      const args = [{ searchAttributes: true, ...input }];
      await world.temporal.client.workflow.execute(workflowType, { workflowId, taskQueue: world.id, args });
      await save('rotate', { [workflowType === 'rotateDecky' ? 'rotate-decky' : 'rotate-inherited']: workflowId });
    };
    await rotate('rotateDecky', { deckyName: 'a' });
    await rotate('rotateInherited', {});
  });

  it('convergence: a look, a stop, a start, and a reconcile by the clock', async () => {
    await world.startWorker();
    await closed((await world.deploy('[a]\nservices=redis\n')).deployment_id);
    const power = async (kind: 'stop' | 'start'): Promise<void> => {
      const request = { decky_name: 'a' };
      const { deployment_id: id } = await world.deployments.operate({
        ...{ username: 'admin', kind, request },
        options: { minHealthyTimeMs: 1_000 },
      });
      await closed(id);
      await save(kind, both(id));
    };
    await power('stop');
    const run = async (workflowType: string, name: string, args: object[]): Promise<void> => {
      const workflowId = `${workflowType}/${world.id}`;
      await world.temporal.client.workflow.execute(workflowType, { workflowId, taskQueue: world.id, args });
      await save('converge', { [name]: workflowId });
    };
    await run('lookAtEngine', 'look-at-engine', []);
    await power('start');
    await createSettings(world.database.sql).setReconcileInterval('1m');
    await world.local.engine.down('a');
    await run('reconcileFleet', 'reconcile-fleet', [{ searchAttributes: true }]);
    const [made] = await world.database.sql<{ id: string }[]>`select id from deployments where kind = 'reconcile'`;
    await save('converge', both(made?.id ?? ''));
  });

  it('a mutation and a teardown that are cancelled while they wait for their turn', async () => {
    await world.startWorker();
    const two = await world.deploy('[a]\nservices=redis\n[b]\nservices=redis\n');
    await closed(two.deployment_id);
    const slow = await world.deploy('[c]\nservices=redis\n', { options: { minHealthyTimeMs: 60_000 } });
    const request = { username: 'admin', idempotency: null };
    const mutation = await world.deployments.mutate({ ...request, decky_name: 'a', services: ['ssh'], options: {} });
    const teardown = await world.deployments.teardown({ username: 'admin', decky_name: 'b' });
    const waiting = {
      'mutate-decky': mutateWorkflowId(mutation.deployment_id),
      'teardown-decky': teardownWorkflowId(teardown.lifecycle_id),
    };
    for (const id of [mutation.deployment_id, teardown.lifecycle_id, slow.deployment_id])
      await world.deployments.cancel(id);
    for (const workflowId of Object.values(waiting))
      await world.temporal.client.workflow
        .getHandle(workflowId)
        .result()
        .catch(() => undefined);
    await save('cancelled-in-line', waiting);
    await closed(slow.deployment_id).catch(() => undefined);
    await save('cancelled', both(slow.deployment_id));
  });

  it('a replaced network that the engine refuses', async function () {
    if (!testServers.dockerHost) this.skip();
    await world.startWorker();
    await closed((await world.deploy('[a]\nservices=redis\n')).deployment_id);
    const docker = new Docker({ socketPath: testServers.dockerHost.replace('unix://', '') });
    const subnet = world.pool.replace('10.231.', '10.233.');
    const Labels = { 'deckhand.instance': world.id };
    const IPAM = { Config: [{ Subnet: subnet }] };
    const network = await docker.createNetwork({ Name: `${world.id}-other`, Labels, IPAM });
    try {
      const { deployment_id: id } = await world.deploy(`[general]\nnet=${subnet}\n[b]\nservices=redis\n`, {
        replace: true,
      });
      await closed(id);
      await save('network-refused', { 'deploy-fleet': deployWorkflowId(id) });
    } finally {
      await network.remove();
    }
  });

  it('a replaced network', async () => {
    await world.startWorker();
    await closed((await world.deploy('[a]\nservices=redis\n')).deployment_id);
    const net = world.pool.replace('10.231.', '10.232.');
    const { deployment_id: id } = await world.deploy(`[general]\nnet=${net}\n[a]\nservices=redis\n`, {
      replace: true,
    });
    await closed(id);
    await save('network-replaced', both(id));
  });

  it('housekeeping: a look, sweeps, a reconcile whose time has come, and the next run', async () => {
    await world.startWorker();
    await closed((await world.deploy('[a]\nservices=redis\n')).deployment_id);
    await createSettings(world.database.sql).setReconcileInterval('1m');
    await world.local.engine.down('a');
    const { workflow } = world.temporal.client;
    const workflowId = housekeepingWorkflowId(world.id);
    const input = { lookMs: 10_000, sweepMs: 500, clockMs: 500, mostEvents: 90 };
    await ensureHousekeeping(world.temporal.client, { taskQueue: world.id, searchAttributes: true, input, anew: true });
    const { runId } = await workflow.getHandle(workflowId).describe();
    await until('the next run', async () => (await workflow.getHandle(workflowId).describe()).runId !== runId, 60_000);
    await workflow.getHandle(workflowId).terminate('recorded');
    await workflow.getHandle(reconcileWorkflowId(world.id)).result();
    const reconcile = reconcileWorkflowId(world.id);
    await save('housekeeping', { housekeeping: { workflowId, runId }, 'reconcile-fleet': reconcile });
  });

  it('the sweep', async () => {
    await world.startWorker();
    const workflowId = `sweep/${world.id}`;
    await world.temporal.client.workflow.execute('sweep', { workflowId, taskQueue: world.id, args: [] });
    await save('sweep', { sweep: workflowId });
  });

  it('the prune', async () => {
    await world.startWorker();
    const workflowId = `prune/${world.id}`;
    await world.temporal.client.workflow.execute('prune', { workflowId, taskQueue: world.id, args: [] });
    await save('prune', { prune: workflowId });
  });
});
