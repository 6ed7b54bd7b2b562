import assert from 'node:assert/strict';
import { deployWorkflowId, localWorkflowId } from '../../fleet/housekeeping.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('what the Web UI shows of a deploy', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  const details = async (workflowId: string): Promise<string> =>
    (
      await world.temporal.client.workflow
        .getHandle(workflowId)
        .query<{ currentDetails?: string }>('__temporal_workflow_metadata')
    ).currentDetails ?? '';

  // proof: web-ui
  it('is found by DeckyName, and says who is done and who is waited for', async () => {
    const name = `${world.id}-ui`;
    const accepted = await world.deploy(`[${name}]\nservices=redis\n[${name}-2]\nservices=redis\n`, {
      options: { minHealthyTimeMs: 6_000 },
    });
    const child = localWorkflowId(accepted.deployment_id, 1);
    let during = '';
    while (!during.includes(`**Waiting for** ${name}`)) during = await details(child).catch(() => '');
    assert.match(during, /done \(0\)/);
    assert.match(
      await details(deployWorkflowId(accepted.deployment_id)),
      /Waiting for\*\* `deploy\/.*\/local`: 2 deckies/,
    );
    await world.ended(accepted.lifecycle_ids);
    assert.match(await details(child), new RegExp(`done \\(2\\) \\| .*${name}`));
    const found: string[] = [];
    // Visibility is eventually consistent.
    while (!found.includes(child))
      for await (const workflow of world.temporal.client.workflow.list({ query: `DeckyName = '${name}-2'` }))
        found.push(workflow.workflowId);
  });
});
