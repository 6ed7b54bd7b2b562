/**
 * Records the histories that test/replay/ replays: `npm run record:histories`. They stand under the release that made them
 * and are never changed: a new scenario or release adds files.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import {
  deployWorkflowId,
  localWorkflowId,
  mutateWorkflowId,
  shardWorkflowId,
  teardownWorkflowId,
} from '../../fleet/workflow-ids.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { doneStatus, type ScriptedAgent, scriptedAgent } from './scripted-agent.ts';
import { endWorker, spawnWorker } from './worker-process.ts';
import { createWorld, type World } from './world.ts';

const FOLDER = new URL(`../replay/histories/${packageJson.version}/`, import.meta.url);

/** Stack traces name the folder of the machine that recorded; a history must not. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const withoutPaths = (text: string): string => text.replaceAll(ROOT, '');

describe('recording histories', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld({ worker: false });
  });
  afterEach(() => world.close());

  async function save(scenario: string, workflows: Record<string, string>): Promise<void> {
    await mkdir(new URL(`${scenario}/`, FOLDER), { recursive: true });
    for (const [name, workflowId] of Object.entries(workflows)) {
      const history = await world.temporal.client.workflow.getHandle(workflowId).fetchHistory();
      await writeFile(new URL(`${scenario}/${name}.json`, FOLDER), `${withoutPaths(historyToJSON(history))}\n`);
    }
  }

  const both = (id: string) => ({ 'deploy-fleet': deployWorkflowId(id), 'deploy-local': localWorkflowId(id, 1) });
  const closed = (id: string) => world.temporal.client.workflow.getHandle(deployWorkflowId(id)).result();

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

  it('revision 1: deploy, mutation and teardown, sent by the worker', async () => {
    await world.startWorker();
    const accepted = await world.deploy('[a]\nservices=redis\n[b]\nservices=http,ssh\n');
    await closed(accepted.deployment_id);
    await save('revision-1', both(accepted.deployment_id));
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
    await save('revision-1', {
      'mutate-decky': mutateWorkflowId(mutation),
      'teardown-decky': teardownWorkflowId(teardown),
    });
  });

  it('revision 2: more hosts than are begun at the same time', async () => {
    await world.startWorker();
    const agents = await Promise.all(Array.from({ length: 10 }, (_, index) => scriptedAgent(world, `h${index}`)));
    for (const agent of agents) agent.onDeploy = () => agent.report('succeeded');
    const accepted = await world.deploy('[a]\namount=10\nservices=ssh\n', { options: { maxParallel: 10 } });
    await closed(accepted.deployment_id);
    await save('revision-2', { 'deploy-fleet': deployWorkflowId(accepted.deployment_id) });
    await Promise.all(agents.map((agent) => agent.close()));
  });

  it('a host’s deckies move', async () => {
    await world.startWorker();
    const agents = await Promise.all([scriptedAgent(world, 'h1'), scriptedAgent(world, 'h2')]);
    for (const agent of agents) agent.onDeploy = () => agent.report('succeeded');
    await closed((await world.deploy('[a]\nservices=ssh\n[b]\nservices=http\n')).deployment_id);
    const [from, to] = agents.map(({ hostUuid }) => hostUuid);
    const moved = await world.deployments.operate({
      username: 'admin',
      kind: 'move',
      request: { host_uuid: from ?? '' },
      options: {},
    });
    await closed(moved.deployment_id);
    await save('move', {
      'deploy-fleet': deployWorkflowId(moved.deployment_id),
      'deploy-shard': shardWorkflowId(moved.deployment_id, to ?? ''),
    });
    await Promise.all(agents.map((agent) => agent.close()));
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

  const shard = (id: string, agent: ScriptedAgent) => shardWorkflowId(id, agent.hostUuid);
  const TWO = '[a]\nservices=ssh\n[b]\nservices=ssh\n[c]\nservices=ssh\n';

  it('over hosts: all well, one that is lost, and a window of one', async () => {
    await world.startWorker();
    const [h1, h2] = [await scriptedAgent(world, 'h1'), await scriptedAgent(world, 'h2')];
    for (const agent of [h1, h2]) agent.onDeploy = () => agent.report('succeeded');
    const well = await world.deploy(TWO);
    await closed(well.deployment_id);
    const id = well.deployment_id;
    await save('swarm-all-well', { 'deploy-fleet': deployWorkflowId(id), 'deploy-shard': shard(id, h1) });
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: 'b' });
    await world.temporal.client.workflow.getHandle(teardownWorkflowId(lifecycle_id)).result();
    await save('swarm-teardown', { 'teardown-decky': teardownWorkflowId(lifecycle_id) });
    await h1.silence();
    const lost = await world.deploy(TWO, {
      replace: true,
      options: { minHealthyTimeMs: 0, maxParallel: 1, hostLostAfterMs: 8_000 },
    });
    await closed(lost.deployment_id);
    await save('swarm-host-lost', {
      'deploy-fleet': deployWorkflowId(lost.deployment_id),
      'deploy-shard': shard(lost.deployment_id, h1),
    });
    await Promise.all([h1.close(), h2.close()]);
  });

  it('over hosts: a report that was lost, and an order that was forgotten', async () => {
    await world.startWorker();
    const agent = await scriptedAgent(world, 'h1');
    const nothing = { version: 't', network: null, work: [], deckies: {}, unreported: 0 };
    agent.status = { deployed: false, deckies: [], deckhand: nothing };
    agent.onDeploy = async (order) => {
      if (order.deckhand?.attempt === 2) agent.status = doneStatus(order);
    };
    const accepted = await world.deploy('[a]\nservices=ssh\n');
    await closed(accepted.deployment_id);
    await save('swarm-lost-report', { 'deploy-shard': shard(accepted.deployment_id, agent) });
    await agent.close();
  });

  async function mutate(scenario: string, services: string[], options = {}): Promise<void> {
    const mutation = { username: 'admin', decky_name: 'a', idempotency: null, services };
    const { deployment_id: id } = await world.deployments.mutate({
      ...mutation,
      options: { minHealthyTimeMs: 1_000, ...options },
    });
    await world.temporal.client.workflow.getHandle(mutateWorkflowId(id)).result();
    await save(scenario, { 'mutate-decky': mutateWorkflowId(id) });
  }

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

  it('mutations over hosts', async () => {
    await world.startWorker();
    const agent = await scriptedAgent(world, 'h1');
    agent.onDeploy = () => agent.report('succeeded');
    agent.onMutate = () => agent.report('succeeded');
    await closed((await world.deploy('[a]\nservices=ssh\n')).deployment_id);
    await mutate('mutate-on-host', ['ftp']);
    await agent.close();
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

  it('a teardown of all: a host that is lost, and its return', async () => {
    await world.startWorker();
    await closed((await world.deploy('[here]\nservices=redis\n')).deployment_id);
    const [h1, h2] = [await scriptedAgent(world, 'h1'), await scriptedAgent(world, 'h2')];
    for (const agent of [h1, h2]) agent.onDeploy = () => agent.report('succeeded');
    await closed((await world.deploy('[a]\nservices=ssh\n[b]\nservices=ssh\n')).deployment_id);
    await h1.silence();
    const { deployment_id: id } = await world.deployments.operate({
      ...{ username: 'admin', kind: 'teardown', request: { host_uuid: null, owed: false } },
      options: { hostLostAfterMs: 5_000 },
    });
    await closed(id);
    await save('teardown-of-all', { ...both(id), 'shard-lost': shard(id, h1), 'shard-down': shard(id, h2) });
    await h1.listen();
    await createHostStore(world.database.sql).markReachable(h1.hostUuid);
    const workflowId = `sweep/${world.id}/back`;
    await world.temporal.client.workflow.execute('sweep', { workflowId, taskQueue: world.id, args: [] });
    const [back] = await world.database.sql<
      { id: string }[]
    >`select id from deployments where username = 'host-return'`;
    await closed(back?.id ?? '');
    await save('host-return', { sweep: workflowId, 'deploy-fleet': deployWorkflowId(back?.id ?? '') });
    await Promise.all([h1.close(), h2.close()]);
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
