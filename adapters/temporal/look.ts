/** Looks at the master's own engine on demand (docs/convergence.md). */
import { WORKFLOW_KIND } from '../../fleet/housekeeping.ts';
import type { TemporalClient } from './connection.ts';
import { hasSearchAttributes, ofKind } from './connection.ts';

/** Within the time in which the API answers. */
const LOOK_LIMIT_MS = 6_000;

/** Has the engine looked at now. Never throws: without an answer what is known stands, and says since when. */
export function createLook(temporal: TemporalClient, taskQueue: string): () => Promise<void> {
  const { client } = temporal;

  async function look(): Promise<void> {
    const searchAttributes = await hasSearchAttributes(temporal);
    await client.workflow.execute('lookAtEngine', {
      workflowId: `look/${taskQueue}/now`,
      taskQueue,
      args: [],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowExecutionTimeout: '2m',
      ...(searchAttributes ? ofKind(WORKFLOW_KIND.housekeeping) : {}),
    });
  }

  return async () => {
    await Promise.race([
      client.withDeadline(Date.now() + LOOK_LIMIT_MS, look).catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, LOOK_LIMIT_MS).unref()),
    ]);
  };
}
