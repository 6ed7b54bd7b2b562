import assert from 'node:assert/strict';
import { createWorld, type World } from '../support/world.ts';

describe('transitions of one moment', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  /** How many batches of rows the child of a deployment wrote. */
  async function batches(deploymentId: string): Promise<number> {
    const handle = world.temporal.client.workflow.getHandle(`deploy/${deploymentId}/local`);
    await handle.result();
    const { events = [] } = await handle.fetchHistory();
    return (events ?? []).filter(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'recordTransitions',
    ).length;
  }

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
});
