/** Takes down what a host has, within a bound; what could not be reached is named. */
import { hasEnded } from '../../fleet/lifecycle.ts';
import type { OperationRow } from '../api-types.ts';
import type { Context } from '../context.ts';
import type { HostView } from '../hosts.ts';
import { type Outcome, openIds, takeDownTogether } from '../take-down.ts';
import type { Snapshot } from '../watch.ts';
import { follow } from './follow.ts';
import type { Emptied } from './host-deckies.ts';

export async function takeDownOn(
  context: Context,
  host: HostView,
  names: readonly string[],
  boundMs: number,
): Promise<Emptied> {
  const { io, hosts } = context;
  const deadline = Date.now() + boundMs;
  const outcomes = await takeDownTogether(context, names, () => hosts.teardown(host.uuid), deadline);
  const ids = openIds(outcomes);
  const watched = ids.length === 0 ? null : await follow(context, { id: null, lifecycleIds: ids, deadline });
  if (watched?.end === 'interrupted') io.interrupted.throwIfAborted();
  return sortOut(outcomes, watched?.snapshot ?? null);
}

function sortOut(outcomes: readonly Outcome[], snapshot: Snapshot | null): Emptied {
  const rows = new Map((snapshot?.rows ?? []).map((row) => [row.id, row]));
  const judged = outcomes.map((outcome) => ({ name: outcome.name, reason: whyNotDown(outcome, rows) }));
  return {
    gone: judged.filter(({ reason }) => reason === null).map(({ name }) => name),
    left: judged.flatMap(({ name, reason }) => (reason === null ? [] : [{ name, reason }])),
    owes: 0,
  };
}

function whyNotDown(outcome: Outcome, rows: ReadonlyMap<string, OperationRow>): string | null {
  if (outcome.kind === 'down') return null;
  if (outcome.kind === 'refused') return outcome.sentence;
  const open = outcome.lifecycleIds.map((id) => rows.get(id));
  const failed = open.find((row) => row?.status === 'failed');
  if (failed) return failed.error ?? 'no reason was given';
  return open.every((row) => row && hasEnded(row.status)) ? null : 'its teardown goes on, but the wait ended first';
}
