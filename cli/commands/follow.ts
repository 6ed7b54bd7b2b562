/** Waiting for a deployment, for single rows, or for both, and saying how it ended. */
import type { DeploymentDetail } from '../api-types.ts';
import type { Context } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { Master } from '../master.ts';
import { type NextCommands, nextCommands, reportEnd } from '../report.ts';
import { viewFor } from '../views.ts';
import { type Snapshot, type WatchResult, watchRows } from '../watch.ts';

/** A request that ended in one of these never has rows (docs/states/request.md). */
const NEVER = ['refused', 'withdrawn'];

function refusalOf(detail: DeploymentDetail): string | null {
  if (NEVER.includes(detail.state)) return detail.refusal?.detail ?? `it was ${detail.state}.`;
  return detail.rows.length === 0 && detail.ended_at !== null
    ? `it ended without a row (${detail.outcome ?? detail.state}).`
    : null;
}

export interface Followed {
  /** A deployment, whose rows are all waited for. */
  readonly id: string | null;
  /** Single rows, of this or other operations. */
  readonly lifecycleIds?: readonly string[];
  /** Epoch milliseconds. */
  readonly deadline: number;
}

const reader =
  (master: Master, { id, lifecycleIds = [] }: Followed) =>
  async (): Promise<Snapshot> => {
    const [detail, others] = await Promise.all([
      id === null ? null : master.deployment(id),
      lifecycleIds.length === 0 ? [] : master.lifecycle(lifecycleIds),
    ]);
    return {
      rows: [...(detail?.rows ?? []), ...others],
      waitingFor: detail?.waiting_for ?? null,
      refusal: detail === null ? null : refusalOf(detail),
    };
  };

/** Shows what happens until all of it has ended, or its deadline has passed. */
export const follow = ({ io, json, master }: Context, followed: Followed): Promise<WatchResult> =>
  watchRows(reader(master, followed), viewFor(io, json), {
    timeoutMs: Math.max(0, followed.deadline - Date.now()),
    interrupted: io.interrupted,
  });

export interface Told {
  /** "The mutation". */
  readonly what: string;
  readonly startedAt: number;
  readonly next?: NextCommands;
  /** Goes into the JSON document beside rows and counts. */
  readonly extra: object;
}

/** {@link follow}, and the last words. */
export async function followAndTell(
  context: Context,
  followed: Followed,
  told: Told,
): Promise<{ readonly end: WatchResult['end']; readonly code: ExitCode }> {
  const result = await follow(context, followed);
  const { next = nextCommands(followed.id), extra, ...words } = told;
  const code = reportEnd(context.io, { ...words, result, unchanged: 0, next, json: context.json, extra: { ...extra } });
  return { end: result.end, code };
}
