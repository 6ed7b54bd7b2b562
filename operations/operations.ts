/** Looking at and starting operations' workflows, for the sweep and the lanes. */
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import { ofKind } from '../adapters/temporal/connection.ts';
import { WORKFLOW_KIND } from '../fleet/housekeeping.ts';
import type { RequestKind } from '../fleet/lifecycle.ts';

/** The workflow type of each kind of operation. */
const WORKFLOW_OF: Readonly<Record<RequestKind, string>> = Object.freeze({
  deploy: 'deployFleet',
  teardown: 'teardownDecky',
  mutate: 'mutateDecky',
  reconcile: 'deployFleet',
  stop: 'deployFleet',
  start: 'deployFleet',
  move: 'deployFleet',
});

/** Several deckies go by a deployment's removals; a teardown of one has a workflow of its own. */
export const workflowTypeOf = ({ kind, workflowId }: Pick<RestartableOperation, 'kind' | 'workflowId'>): string =>
  workflowId.startsWith('deploy/') ? WORKFLOW_OF.deploy : WORKFLOW_OF[kind];

/** A workflow that closed less than this ago may have activities that are just noticing it. */
const SETTLE_MS = 15_000;

export interface RestartableOperation {
  readonly operationId: string;
  readonly workflowId: string;
  readonly kind: RequestKind;
}

export async function workflowState(
  client: Client,
  workflowId: string,
): Promise<'running' | 'settling' | 'closed' | 'unknown'> {
  try {
    const { status, closeTime } = await client.workflow.getHandle(workflowId).describe();
    if (status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW') return 'running';
    return closeTime && Date.now() - closeTime.getTime() < SETTLE_MS ? 'settling' : 'closed';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'unknown';
    throw error;
  }
}

/** Starts an accepted operation again whose workflow Temporal does not know; its rows and tickets are there already. */
export async function restartOperation(
  client: Client,
  operation: RestartableOperation,
  options: { taskQueue: string; searchAttributes: boolean; summary?: string },
): Promise<void> {
  try {
    await client.workflow.start(workflowTypeOf(operation), {
      workflowId: operation.workflowId,
      taskQueue: options.taskQueue,
      args: [
        {
          operationId: operation.operationId,
          searchAttributes: options.searchAttributes,
          resume: true,
        },
      ],
      ...(options.searchAttributes ? ofKind(WORKFLOW_KIND.work) : {}),
      staticSummary: options.summary ?? 'started again by the sweep: Temporal did not know it',
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Asks for the end of a workflow; what it has begun it brings to an end itself. False where Temporal knows none that runs. */
export async function cancelWorkflow(client: Client, workflowId: string): Promise<boolean> {
  try {
    await client.workflow.getHandle(workflowId).cancel();
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Tells a workflow that it is its turn. One that is gone is left to the sweep, which closes its ticket. */
export async function signalTurn(client: Client, ticket: { workflowId: string; hostUuid: string }): Promise<void> {
  try {
    await client.workflow.getHandle(ticket.workflowId).signal('turn', { hostUuid: ticket.hostUuid });
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** Tells a workflow why something that it waits for is retried; one that has ended needs no news. */
export async function signalTrouble(client: Client, workflowId: string, text: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal('trouble', { text });
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** Closed workflows that the namespace keeps, ours and others'. */
export async function countClosed(client: Client): Promise<number> {
  return (await client.workflow.count("ExecutionStatus != 'Running'")).count;
}
