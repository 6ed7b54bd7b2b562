import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { loadRequest, returnedIds } from '../../adapters/postgres/deployments.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { currentTicket } from '../../adapters/postgres/tickets.ts';
import { deployWorkflowId } from '../../fleet/housekeeping.ts';
import { LOCAL_HOST } from '../../fleet/lifecycle.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy, TEST_NETWORK } from '../support/master/requests.ts';
import { endWorker, spawnWorker } from '../support/temporal/worker-process.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

// proof: lost-workflows
describe('rows that nobody works on', () => {
  let world: World;
  let sweeps = 0;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(() => world.close());

  /** Lets everything look older than any grace, as after minutes of waiting. */
  async function age(): Promise<void> {
    const { sql } = world.database;
    await sql`alter table decky_lifecycle disable trigger guard_lifecycle`;
    await sql`update decky_lifecycle set started_at = started_at - interval '10 minutes'`;
    await sql`alter table decky_lifecycle enable trigger guard_lifecycle`;
    await sql`update host_tickets set opened_at = opened_at - interval '10 minutes'`;
    await sql`update deployments set received_at = received_at - interval '10 minutes'`;
  }

  const sweep = (): Promise<{ restarted: number; lost: number }> =>
    world.temporal.client.workflow.execute('sweep', {
      workflowId: `sweep/${world.id}/${sweeps++}`,
      taskQueue: world.id,
      args: [],
    });

  // proof: promise-1, gap-a1
  it('are done after all when Temporal has lost their workflow (promise 1, gap A3)', async () => {
    const request = await storeDeploy(world.database.sql, `[${world.id}-a]\nservices=redis\n`);
    await acceptRequest(world.database.sql, request);
    await age();
    assert.deepEqual(await sweep(), { restarted: 1, lost: 0 });
    const { lifecycle_ids } = await returnedIds(world.database.sql, request);
    assert.deepEqual(
      (await world.ended(lifecycle_ids)).map((row) => row.status),
      ['succeeded'],
    );
    await world.temporal.client.workflow.getHandle(deployWorkflowId(request)).result();
    assert.equal(await currentTicket(world.database.sql, LOCAL_HOST), null);
  });

  it('end as failed, saying what runs, when their workflow was terminated, and the lane goes on', async () => {
    const name = `${world.id}-t`;
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`, {
      options: { minHealthyTimeMs: 300_000, healthyDeadlineMs: 600_000 },
    });
    await world.temporal.client.workflow.getHandle(deployWorkflowId(accepted.deployment_id)).terminate('by a test');
    await age();
    // A workflow that closed a moment ago is left alone until its activities have noticed (15 s).
    for (let tries = 0; tries < 30; tries += 1) {
      await sweep();
      if (await world.deployments.waitForRows(accepted.lifecycle_ids, 1_000)) break;
    }
    const [row] = await world.rows(accepted.lifecycle_ids);
    assert.equal(row?.status, 'failed');
    assert.match(row?.error ?? '', /^WorkflowLost: .*the engine says/);
    const again = await world.deploy(`[${name}]\nservices=redis\n`);
    await sweep();
    assert.equal((await world.ended(again.lifecycle_ids))[0]?.status, 'succeeded');
  });

  // proof: promise-1
  it('are ended a thousand at a time, so that what is said of them fits into Temporal', async function () {
    this.timeout(120_000);
    const { sql } = world.database;
    const ini = Array.from({ length: 11 }, (_, group) => `[${world.id}-${group}]\nservices=redis\namount=100\n`).join(
      '',
    );
    await createSettings(sql).setDeploymentLimit(2_000);
    const network = { ...TEST_NETWORK, bridge_pool: '10.77.0.0/16' };
    const request = await storeDeploy(sql, ini, false, network);
    assert.deepEqual(await acceptRequest(sql, request), { accepted: true });
    const workflowId = deployWorkflowId(request);
    await world.temporal.client.workflow.execute('sweep', { workflowId, taskQueue: world.id, args: [] });
    await age();
    const lost: number[] = [];
    // It closed a moment ago, and is left alone until its activities would have noticed (15 s).
    for (let tries = 0; tries < 40 && lost.length < 2; tries += 1) {
      const summary = await sweep();
      if (summary.lost > 0) lost.push(summary.lost);
      else await setTimeout(1_000);
    }
    assert.deepEqual(lost, [1_000, 100]);
  });

  // proof: gap-b7
  it('are left alone while their workflow works, and so is the fleet (gap B7)', async () => {
    const name = `${world.id}-w`;
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`, { options: { minHealthyTimeMs: 4_000 } });
    await age();
    assert.deepEqual(await sweep(), { restarted: 0, lost: 0 });
    assert.equal((await world.database.sql`select from fleet_deckies where name = ${name}`).length, 1);
    assert.equal((await world.ended(accepted.lifecycle_ids))[0]?.status, 'succeeded');
  });

  it('a request that no workflow will accept is withdrawn', async () => {
    const request = await storeDeploy(world.database.sql, `[${world.id}-r]\nservices=redis\n`);
    await age();
    await sweep();
    assert.equal((await loadRequest(world.database.sql, request))?.state, 'withdrawn');
  });

  // proof: promise-1, gap-a1
  it('work is no task of the process that was asked: it goes on when the worker that began it is killed (gaps A1, A2)', async () => {
    await world.stopWorker();
    const first = await spawnWorker(world.environment);
    const accepted = await world.deploy(`[${world.id}-k]\nservices=redis\n`, { options: { minHealthyTimeMs: 1_000 } });
    await endWorker(first, 'SIGKILL');
    const second = await spawnWorker(world.environment);
    assert.equal((await world.ended(accepted.lifecycle_ids))[0]?.status, 'succeeded');
    await endWorker(second, 'SIGTERM');
  });
});
