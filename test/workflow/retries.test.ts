import assert from 'node:assert/strict';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

describe('work on an engine that does not answer', function () {
  this.timeout(60_000);
  let world: World;
  before(async () => {
    world = await createWorld({ dockerHost: 'unix:///nowhere/docker.sock' });
  });
  after(() => world.close());

  // proof: field-3.7-3
  it('shows in the row and in the Web UI why it is retried, and until when', async () => {
    const accepted = await world.deploy(`[${world.id}-r]\nservices=redis\n`, {
      options: { progressDeadlineMs: 12_000 },
    });
    const told = /retried until \d\d:\d\d:\d\dZ; last error: .*does not answer/;

    const step = await until('a step with the reason', async () => {
      const [row] = await world.rows(accepted.lifecycle_ids);
      const [stored] = await world.database.sql<
        { step: string | null }[]
      >`select step from decky_lifecycle where id = ${row?.id ?? ''}`;
      return stored?.step && told.test(stored.step) ? stored.step : null;
    });
    assert.match(step, /^comparing what runs with what should; /);
    const details = async (): Promise<string> => {
      const handle = world.temporal.client.workflow.getHandle(`deploy/${accepted.deployment_id}/local`);
      return (await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata')).currentDetails ?? '';
    };
    await until('details with the reason', async () => told.test(await details()));
    await world.ended(accepted.lifecycle_ids);
  });
});
