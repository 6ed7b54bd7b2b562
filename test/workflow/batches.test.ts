import assert from 'node:assert/strict';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('transitions of one moment', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  async function activitiesOf(workflowId: string): Promise<string[]> {
    const handle = world.temporal.client.workflow.getHandle(workflowId);
    await handle.result();
    const { events } = await handle.fetchHistory();
    return (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []);
  }
  /** How many batches of rows the child of a deployment wrote. */
  const batches = async (deploymentId: string): Promise<number> =>
    (await activitiesOf(`deploy/${deploymentId}/local`)).filter((name) => name === 'recordTransitions').length;

  // proof: bench
  it('are one batch: a fleet that runs already costs one, from running to succeeded', async () => {
    const ini = `[${world.id}-a]\nservices=redis\n[${world.id}-b]\nservices=redis\n[${world.id}-c]\nservices=redis\n`;
    const options = { replace: true };
    const first = await world.deploy(ini, options);
    await world.ended(first.lifecycle_ids);
    const again = await world.deploy(ini, options);
    const rows = await world.ended(again.lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => row.status),
      ['succeeded', 'succeeded', 'succeeded'],
    );
    assert.equal(await batches(again.deployment_id), 1);
  });

  // proof: bench
  it('are sent by the worker as they are written, and once more at the end of the operation, outside of its lane', async () => {
    const { deployment_id: id, lifecycle_ids } = await world.deploy(`[${world.id}-d]\nservices=redis,http\n`);
    await world.ended(lifecycle_ids);
    assert.ok(!(await activitiesOf(`deploy/${id}/local`)).includes('publishTransitions'));
    const [lane, last] = (await activitiesOf(`deploy/${id}`)).filter((name) => /releaseLane|publish/.test(name));
    assert.deepEqual([lane, last], ['releaseLane', 'publishTransitions']);
    const [unsent] = await world.database.sql<{ count: number }[]>`
      select count(*)::int as count from outbox where sent_at is null`;
    assert.equal(unsent?.count, 0);
  });
});
