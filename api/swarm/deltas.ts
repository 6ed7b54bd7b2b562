/** Deltas of a heartbeat: matched to open rows, fenced, and grouped by the workflow that owns the row. */
import type { ReportableRow } from '../../adapters/postgres/host-reports.ts';
import { type SaidDelta, saidError } from '../../fleet/agent-says.ts';
import type { DeckyReport, HostReport } from '../../fleet/agent-wire.ts';
import { cutSecrets, secretValues } from '../../fleet/secrets.ts';

/** How much earlier than its dispatch a report without a fence may claim to have ended: clocks are compared by whole seconds. */
const CLOCK_SLACK_MS = 5_000;
/** One signal's share of a report: Temporal takes 2 MiB at most, and warns from a quarter of that. */
const SIGNAL_BYTES = 400_000;

export interface Dropped {
  readonly decky: string;
  readonly why: string;
}

export interface ReportingAgent {
  readonly hostUuid: string;
  readonly fenced: boolean;
  /** Its clock minus ours. */
  readonly clockOffsetMs: number;
}

/** What each workflow is told, and what was left out with the reason. Deltas keep their order. */
export function matchDeltas(
  deltas: readonly SaidDelta[],
  rows: readonly ReportableRow[],
  agent: ReportingAgent,
): { reports: ReadonlyMap<string, readonly HostReport[]>; dropped: readonly Dropped[] } {
  const byDecky = new Map(rows.map((row) => [row.deckyName, row]));
  const byWorkflow = new Map<string, DeckyReport[]>();
  const dropped: Dropped[] = [];
  for (const delta of deltas) {
    const row = byDecky.get(delta.deckyName);
    const why = row?.operation === delta.operation ? staleness(delta, row, agent) : 'no open row of this host';
    if (why !== null || row === undefined) {
      dropped.push({ decky: delta.deckyName, why: why ?? 'no open row of this host' });
      continue;
    }
    const reports = byWorkflow.get(row.workflowId);
    if (reports) reports.push(deckyReport(delta, row));
    else byWorkflow.set(row.workflowId, [deckyReport(delta, row)]);
  }
  const { hostUuid } = agent;
  return {
    reports: new Map(
      [...byWorkflow].map(([workflowId, reports]) => [
        workflowId,
        inSignals(reports).map((some) => ({ hostUuid, reports: some })),
      ]),
    ),
    dropped,
  };
}

/** The reports in their order, cut into what one signal carries. */
function inSignals(reports: readonly DeckyReport[]): DeckyReport[][] {
  const signals: DeckyReport[][] = [];
  let left = 0;
  for (const report of reports) {
    const bytes = Buffer.byteLength(JSON.stringify(report));
    if (bytes > left) {
      signals.push([]);
      left = SIGNAL_BYTES;
    }
    left -= bytes;
    signals.at(-1)?.push(report);
  }
  return signals;
}

/** Why a delta is not about this attempt of the row's operation; null where it may be (promise 4, gap A8). */
function staleness(delta: SaidDelta, row: ReportableRow, agent: ReportingAgent): string | null {
  if (delta.fence) return delta.fence.operationId === row.deploymentId ? null : 'of another operation';
  if (agent.fenced) return 'without a fence, of an agent that has them';
  if (row.dispatchedAt === null) return 'the row was not dispatched yet';
  if (delta.completedMs === null) return null;
  const endedMs = delta.completedMs - agent.clockOffsetMs;
  return endedMs < row.dispatchedAt.getTime() - CLOCK_SLACK_MS ? 'ended before the row was dispatched' : null;
}

function deckyReport(delta: SaidDelta, row: ReportableRow): DeckyReport {
  const error = delta.status === 'failed' && delta.error !== null ? withoutSecrets(delta.error, row) : null;
  return {
    lifecycleId: row.lifecycleId,
    deckyName: row.deckyName,
    status: delta.status,
    error,
    seen: delta.seen,
    fence: delta.fence && { attempt: delta.fence.attempt, sequence: delta.fence.sequence },
  };
}

const withoutSecrets = (error: string, row: ReportableRow): string => {
  const values = secretValues(row.versions);
  return saidError(error, (text) => cutSecrets(text, values));
};
