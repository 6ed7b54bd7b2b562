import assert from 'node:assert/strict';
import { ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import { ensurePrune, PRUNE_SCHEDULE_ID } from '../../adapters/temporal/schedules.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('the daily prune', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(async () => {
    await world.temporal.client.schedule
      .getHandle(scheduleId())
      .delete()
      .catch((error: unknown) => assert.ok(error instanceof ScheduleNotFoundError));
    await world.close();
  });
  const scheduleId = (): string => `${PRUNE_SCHEDULE_ID}/${world.id}`;
  const run = (): Promise<Record<string, number>> =>
    world.temporal.client.workflow.execute('prune', { workflowId: `prune-by-hand/${world.id}`, taskQueue: world.id });

  it('removes a deployment that ended long ago and its rows, and says how many', async () => {
    const { sql } = world.database;
    const accepted = await world.deploy(`[${world.id}-a]\nservices=redis\n`);
    assert.equal((await world.ended(accepted.lifecycle_ids))[0]?.status, 'succeeded');
    await world.temporal.client.workflow.getHandle(`deploy/${accepted.deployment_id}`).result();
    await sql`update deployments set ended_at = ended_at - interval '91 days'`;
    const removed = await run();
    assert.equal(removed.deployments, 1);
    assert.equal((await sql`select from decky_lifecycle`).length, 0);
    assert.equal((await sql`select from fleet_deckies`).length, 1);
  });

  it('prunes the other tables when one can’t be, and tries that one again', async () => {
    const { sql } = world.database;
    await sql`insert into outbox (message_id, decky_name, type, payload, sent_at) values (${world.id}, 'a', 'lifecycle', '{}', now() - interval '2 days')`;
    await sql`alter table host_tickets rename to hidden_tickets`;
    const handle = await world.temporal.client.workflow.start('prune', {
      workflowId: `prune-by-hand/${world.id}`,
      taskQueue: world.id,
    });
    for (;;) {
      const { raw } = await handle.describe();
      const [activity] = raw.pendingActivities ?? [];
      if (/host_tickets/.test(activity?.lastFailure?.message ?? '')) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal((await sql`select from outbox`).length, 0);
    await handle.terminate('the test has seen it');
  });

  // proof: pruned
  it('is run by a Schedule of each day that skips overlaps, made once and again when it is lost', async () => {
    const { client } = world.temporal;
    await ensurePrune(client, { taskQueue: world.id, searchAttributes: true });
    await ensurePrune(client, { taskQueue: world.id, searchAttributes: true });
    const { spec, action, policies } = await client.schedule.getHandle(scheduleId()).describe();
    assert.equal(spec.calendars?.length, 1);
    assert.equal(action.type === 'startWorkflow' && action.workflowType, 'prune');
    assert.equal(policies.overlap, ScheduleOverlapPolicy.SKIP);
    await client.schedule.getHandle(scheduleId()).delete();
    await ensurePrune(client, { taskQueue: world.id, searchAttributes: true });
    await client.schedule.getHandle(scheduleId()).describe();
  });
});
