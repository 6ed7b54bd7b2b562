/** A cancelled operation says so with one word everywhere: Temporal, search attribute, database, API. */
import assert from 'node:assert/strict';
import { createDeploymentReader } from '../../adapters/postgres/deployments.ts';
import { deployWorkflowId, mutateWorkflowId, teardownWorkflowId } from '../../fleet/housekeeping.ts';
import { iniOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { until } from '../support/until.ts';

describe('a cancelled operation', function () {
  this.timeout(90_000);
  const swarm = scriptedSwarm();
  const by = { username: 'admin', options: { minHealthyTimeMs: 0 } };

  /** How it ended: for Temporal, as search attribute, in the database and at the API. */
  async function endOf(id: string, workflowId: string): Promise<(string | null | undefined)[]> {
    const reader = createDeploymentReader(swarm.world.database.sql);
    const handle = swarm.world.temporal.client.workflow.getHandle(workflowId);
    await until(`${workflowId} to close`, async () => (await handle.describe()).status.name !== 'RUNNING');
    const { status, searchAttributes } = await handle.describe();
    return [status.name, String(searchAttributes.LifecycleOutcome), (await reader.get(id))?.outcome];
  }
  const CANCELLED = ['CANCELLED', 'cancelled', 'cancelled'];

  async function running(...names: string[]) {
    const host = await swarm.agent('h1');
    host.onDeploy = () => host.report('succeeded');
    const there = await swarm.world.deploy(iniOf(...names));
    await swarm.world.ended(there.lifecycle_ids);
    return host;
  }

  it('ends as cancelled on the master’s own engine, at work and before its turn', async () => {
    const { world } = swarm;
    const slow = await world.deploy(iniOf(`${world.id}-a`), { options: { minHealthyTimeMs: 600_000 } });
    const waiting = await world.deploy(iniOf(`${world.id}-b`));
    await until('it is at work', async () => (await world.rows(slow.lifecycle_ids))[0]?.status === 'running');
    for (const { deployment_id: id } of [waiting, slow]) {
      await world.deployments.cancel(id);
      assert.deepEqual(await endOf(id, deployWorkflowId(id)), CANCELLED);
    }
  });

  // proof: field-3.13-1
  it('ends as cancelled on a host, whatever its kind', async () => {
    const { deployments, ended, deploy } = swarm.world;
    const host = await running('a', 'b', 'c');
    host.onDeploy = () => undefined;
    host.onMutate = () => undefined;
    const cancel = async (id: string, workflowId: string, ids: readonly string[]): Promise<void> => {
      await deployments.cancel(id);
      await ended(ids);
      assert.deepEqual(await endOf(id, workflowId), CANCELLED, workflowId);
    };
    const deployed = await deploy(iniOf('d'));
    await cancel(deployed.deployment_id, deployWorkflowId(deployed.deployment_id), deployed.lifecycle_ids);
    const mutated = await deployments.mutate({ ...by, decky_name: 'a', services: ['ftp'], idempotency: null });
    await cancel(mutated.deployment_id, mutateWorkflowId(mutated.deployment_id), mutated.lifecycle_ids);
    const stopped = await deployments.operate({ ...by, kind: 'stop', request: { decky_name: 'b' } });
    await cancel(stopped.deployment_id, deployWorkflowId(stopped.deployment_id), stopped.lifecycle_ids);
    await host.silence();
    const one = await deployments.teardown({ ...by, decky_name: 'a' });
    await cancel(one.lifecycle_id, teardownWorkflowId(one.lifecycle_id), [one.lifecycle_id]);
    const request = { host_uuid: host.hostUuid, owed: false };
    const all = await deployments.operate({ ...by, kind: 'teardown', request });
    await cancel(all.deployment_id, deployWorkflowId(all.deployment_id), all.removed_lifecycle_ids);
  });

  // proof: field-3.13-1
  it('ends as its rows did where the cancellation came too late', async () => {
    const { world } = swarm;
    const host = await running('a');
    const there = await swarm.agent('h2');
    there.onDeploy = () => there.report('succeeded');
    let done = (): void => undefined;
    host.onTeardown = () =>
      new Promise((resolve) => {
        done = resolve;
      });
    const request = { host_uuid: host.hostUuid };
    const { deployment_id: id } = await world.deployments.operate({ ...by, kind: 'move', request });
    await until('its host takes it down', () => host.teardowns.length === 1);
    await world.deployments.cancel(id);
    done();
    assert.deepEqual(await endOf(id, deployWorkflowId(id)), ['COMPLETED', 'succeeded', 'succeeded']);
  });

  // proof: field-3.13-1
  it('that nobody had accepted is withdrawn, with the same word everywhere', async () => {
    const { world } = swarm;
    const { id, workflowId } = { id: 'never', workflowId: deployWorkflowId('never') };
    await world.database.sql`insert into deployments (id, kind, workflow_id, username, request, options)
      values (${id}, 'deploy', ${workflowId}, 'admin', '{}', '{}')`;
    const args = [{ operationId: id, searchAttributes: true }];
    const handle = await world.temporal.client.workflow.start('deployFleet', { workflowId, taskQueue: world.id, args });
    await handle.cancel();
    assert.deepEqual((await endOf(id, workflowId)).slice(1), ['withdrawn', 'withdrawn']);
  });
});
