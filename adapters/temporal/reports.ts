/** Hands what hosts report to the workflows that own the rows. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { HEARTBEAT_SIGNAL, type HostReport } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';

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
