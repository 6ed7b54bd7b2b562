/** What an agent's `/status` proves about the open rows of one operation. */

import type { Fence } from './agent-wire.ts';
import type { DeckyConfig } from './config.ts';
import { rowText } from './errors.ts';
import type { HostObservation, ObservedReport } from './host-observation.ts';
import type { DeckyState, Operation } from './lifecycle.ts';
import { OPERATION } from './lifecycle.ts';

export interface AskedRow {
  readonly deckyName: string;
  readonly operation: Operation;
  /** As it was sent; null for a decky that goes. */
  readonly config: DeckyConfig | null;
}

/**
 * `proof` says how far it goes: `certain` ends the row; `twice` ends it when a second observation says the same; null proves
 * nothing yet.
 */
export interface RowObservation {
  readonly deckyName: string;
  readonly status: 'succeeded' | 'failed' | 'open';
  readonly proof: 'certain' | 'twice' | null;
  readonly error: string | null;
  readonly seen: DeckyState | null;
  readonly step: string | null;
}

export interface StatusObservation {
  /** False: the agent has neither the order nor its outcome, so that it has to be sent anew. */
  readonly known: boolean;
  /** True: it names the attempt, and so has the order or its outcome. */
  readonly has: boolean;
  readonly rows: readonly RowObservation[];
}

const sameAttempt = (one: Fence, other: Fence): boolean =>
  one.operation_id === other.operation_id && one.attempt === other.attempt;

const open = (deckyName: string, step: string | null = null): RowObservation => ({
  deckyName,
  status: 'open',
  proof: null,
  error: null,
  seen: null,
  step,
});

/** Compares what is reported with what was asked for, for all rows at once. */
export function judgeStatus(status: HostObservation, fence: Fence, rows: readonly AskedRow[]): StatusObservation {
  const { report } = status;
  if (!report) return { known: true, has: false, rows: rows.map((row) => judgeUnfenced(status, row)) };
  const has =
    report.work.some((work) => sameAttempt(work, fence)) ||
    rows.some((row) => {
      const decky = report.deckies.get(row.deckyName);
      return decky !== undefined && sameAttempt(decky, fence);
    });
  return { known: has || !report.complete, has, rows: rows.map((row) => judgeFenced(report, fence, row)) };
}

function judgeFenced(report: ObservedReport, fence: Fence, row: AskedRow): RowObservation {
  const decky = report.deckies.get(row.deckyName);
  if (!decky || !sameAttempt(decky, fence)) return open(row.deckyName);
  if (decky.status === 'succeeded' || decky.status === 'failed')
    return {
      deckyName: row.deckyName,
      status: decky.status,
      proof: 'certain',
      error: decky.error,
      seen: decky.seen,
      step: null,
    };
  return open(row.deckyName, decky.step);
}

/** Without a fence only what runs can tell, and one observation may fall into the middle of the work. */
function judgeUnfenced(status: HostObservation, row: AskedRow): RowObservation {
  const known = status.deckies.find((decky) => decky.name === row.deckyName);
  // Of an agent of DECNET `deployed: false` names no decky, and means it.
  if (!known && status.deployed && !status.complete) return open(row.deckyName);
  if (row.operation === OPERATION.teardown) {
    const gone = known === undefined;
    return { ...open(row.deckyName), status: gone ? 'succeeded' : 'open', proof: gone ? 'twice' : null };
  }
  const runtime = status.runtime.get(row.deckyName);
  if (known && !sameServices(known.services, row.config))
    return failed(row.deckyName, 'the agent has another version of it');
  if (runtime?.running) return { ...open(row.deckyName), status: 'succeeded', proof: 'twice', seen: 'running' };
  if (!status.deployed || !known) return failed(row.deckyName, 'the agent does not have it');
  // Docker did not answer: that proves nothing.
  if (!runtime) return open(row.deckyName);
  return failed(row.deckyName, rowText(describeServices(runtime.services)));
}

const failed = (deckyName: string, error: string): RowObservation => ({
  ...open(deckyName),
  status: 'failed',
  proof: 'twice',
  error,
  seen: 'degraded',
});

const sameServices = (services: readonly string[], other: DeckyConfig | null): boolean =>
  other === null ||
  (services.length === other.services.length && services.every((name, at) => name === other.services[at]));

const describeServices = (services: Readonly<Record<string, string>>): string => {
  const down = Object.entries(services).filter(([, state]) => state !== 'running');
  return down.length === 0
    ? 'the agent says that it does not run'
    : down.map(([name, state]) => `${name} is ${state}`).join(', ');
};
