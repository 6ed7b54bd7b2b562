/**
 * What is asked of operations' workflows, and told to them, from outside.
 *
 * 1. {@link workflowState}, {@link restartOperation}: for the sweep.
 * 2. {@link cancelWorkflow}, {@link signalTurn}, {@link signalTrouble}: an end that is asked for, and signals.
 * 3. {@link createReportSignals}: what hosts report goes to the workflows that own the rows.
 */
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import { HEARTBEAT_SIGNAL, type HostReport } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { WORKFLOW_KIND } from '../../fleet/housekeeping.ts';
import type { RequestKind } from '../../fleet/lifecycle.ts';
import { ofKind } from './connection.ts';

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

/** Hands what hosts report to the workflows that own the rows. */

/** Agents wait 10 s for the answer to a heartbeat. */
const SIGNAL_LIMIT_MS = 8_000;

export interface ReportSignals {
  /** Resolves once Temporal has it; throws Unavailable where it can't be had, or knows no such workflow that runs. */
  signal(workflowId: string, report: HostReport): Promise<void>;
}

export const createReportSignals = (client: Client): ReportSignals => ({
  async signal(workflowId, report) {
    try {
      await inTime(
        client.withDeadline(Date.now() + SIGNAL_LIMIT_MS, () =>
          client.workflow.getHandle(workflowId).signal(HEARTBEAT_SIGNAL, report),
        ),
      );
    } catch (error) {
      const what =
        error instanceof WorkflowNotFoundError
          ? `Workflow ${workflowId} does not run, though its rows are open; the sweep sees to it.`
          : 'Temporal can’t be reached.';
      throw new DeckhandError('Unavailable', `${what} Keep the report and send it again.`, { cause: error });
    }
  },
});

/** The client looks at its deadline only when it tries again, and the pauses between its tries grow. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${SIGNAL_LIMIT_MS / 1000} s`)), SIGNAL_LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
