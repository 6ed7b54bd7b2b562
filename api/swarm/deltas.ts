/** Deltas of a heartbeat: read one by one, matched to open rows, fenced, and grouped by the workflow that owns the row. */
import type { ReportableRow } from '../../adapters/postgres/host-reports.ts';
import { ERROR_TEXT_LIMIT } from '../../fleet/errors.ts';
import { DECKY_STATE, type DeckyState, OPERATION, type Operation } from '../../fleet/lifecycle.ts';
import type { DeckyReport, HostReport } from '../../fleet/reports.ts';
import { cutSecrets, secretValues } from '../../fleet/secrets.ts';
import { isObject } from './report.ts';

/** How much earlier than its dispatch a report without a fence may claim to have ended: clocks are compared by whole seconds. */
const CLOCK_SLACK_MS = 5_000;
const REPORTED = ['running', 'succeeded', 'failed'] as const;
const LONGEST_NAME = 128;

export interface ReadDelta {
  readonly deckyName: string;
  readonly operation: Operation;
  readonly status: (typeof REPORTED)[number];
  readonly error: string | null;
  /** Epoch milliseconds by the host's clock; null where it is not given or no time. */
  readonly completedMs: number | null;
  readonly seen: DeckyState | null;
  readonly fence: { readonly operationId: string; readonly attempt: number; readonly sequence: number } | null;
}

export interface Dropped {
  readonly decky: string;
  readonly why: string;
}

const member = <T extends string>(values: readonly T[], value: unknown): T | null =>
  values.find((candidate) => candidate === value) ?? null;

/** Null for a delta that makes no sense (gap A10). */
export function readDelta(value: unknown): ReadDelta | null {
  if (!isObject(value)) return null;
  const { decky_name: deckyName, error, completed_at: completedAt } = value;
  const operation = member(Object.values(OPERATION), value.operation);
  const status = member(REPORTED, value.status);
  if (typeof deckyName !== 'string' || deckyName === '' || deckyName.length > LONGEST_NAME) return null;
  if (operation === null || status === null || deckyName.includes('\0')) return null;
  const fence = readFence(value);
  if (fence === undefined) return null;
  const completedMs = typeof completedAt === 'string' ? Date.parse(completedAt) : Number.NaN;
  return {
    deckyName,
    operation,
    status,
    error: typeof error === 'string' ? error : null,
    completedMs: Number.isNaN(completedMs) ? null : completedMs,
    seen: member(Object.values(DECKY_STATE), value.seen),
    fence,
  };
}

/** Undefined for half a fence. */
function readFence(value: Readonly<Record<string, unknown>>): ReadDelta['fence'] | undefined {
  const { operation_id: operationId, attempt, sequence } = value;
  if (operationId === undefined && attempt === undefined && sequence === undefined) return null;
  if (typeof operationId !== 'string' || !Number.isSafeInteger(attempt) || !Number.isSafeInteger(sequence)) return;
  return { operationId, attempt: Number(attempt), sequence: Number(sequence) };
}

export interface ReportingAgent {
  readonly hostUuid: string;
  readonly fenced: boolean;
  /** Its clock minus ours. */
  readonly clockOffsetMs: number;
}

/** What each workflow is told, and what was left out with the reason. Deltas keep their order. */
export function matchDeltas(
  deltas: readonly ReadDelta[],
  rows: readonly ReportableRow[],
  agent: ReportingAgent,
): { reports: ReadonlyMap<string, HostReport>; dropped: readonly Dropped[] } {
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
    reports: new Map([...byWorkflow].map(([workflowId, reports]) => [workflowId, { hostUuid, reports }])),
    dropped,
  };
}

/** Why a delta is not about this attempt of the row's operation; null where it may be (promise 4, gap A8). */
function staleness(delta: ReadDelta, row: ReportableRow, agent: ReportingAgent): string | null {
  if (delta.fence) return delta.fence.operationId === row.deploymentId ? null : 'of another operation';
  if (agent.fenced) return 'without a fence, of an agent that has them';
  if (row.dispatchedAt === null) return 'the row was not dispatched yet';
  if (delta.completedMs === null) return null;
  const endedMs = delta.completedMs - agent.clockOffsetMs;
  return endedMs < row.dispatchedAt.getTime() - CLOCK_SLACK_MS ? 'ended before the row was dispatched' : null;
}

function deckyReport(delta: ReadDelta, row: ReportableRow): DeckyReport {
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

/** PostgreSQL's text holds no NUL. */
const withoutSecrets = (error: string, row: ReportableRow): string =>
  cutSecrets(error, secretValues(row.versions)).replaceAll('\0', '').slice(0, ERROR_TEXT_LIMIT);
