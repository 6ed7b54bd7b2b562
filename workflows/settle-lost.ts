/** Rows whose workflow ended without ending them: the engine is asked, then they end as failed, saying what was seen. */
import { ActivityFailure } from '@temporalio/workflow';
import { errorText } from '../fleet/errors.ts';
import { type DeckyState, STATUS, type Transition } from '../fleet/lifecycle.ts';
import { inBatches } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import { onAgent, onEngine, recordTransitions } from './activities.ts';
import { LOOK, LOOK_THERE } from './profiles.ts';
import { Window } from './window.ts';

/** Rows in one write, deckies in one look at the engine. */
const AT_ONCE = 200;
/** Hosts that are asked at the same time. */
const HOSTS_AT_ONCE = 50;

/** Why a row is ended in the place of its workflow; follows the workflow's id. */
const LOST = 'ended without ending this row';

/** The reason for rows whose end could not be written. */
export const unwritten = (failure: unknown): string => {
  const cause = failure instanceof ActivityFailure ? failure.cause : failure;
  return `could not write how this row ended (${cause instanceof Error ? cause.message : String(cause)})`;
};

export async function settleLost(rows: readonly OpenRow[], why: string = LOST): Promise<void> {
  if (rows.length === 0) return;
  for (const transitions of inBatches(await lostTransitions(rows, why), AT_ONCE))
    await recordTransitions({ transitions });
}

/** How rows end whose workflow did not end them: as failed, with what their engine or host says of each. */
export async function lostTransitions(rows: readonly OpenRow[], why: string = LOST): Promise<Transition[]> {
  const local = rows.filter((row) => row.hostUuid === null);
  const window = new Window(HOSTS_AT_ONCE);
  const sights = [
    ...(await lookHere(local)),
    ...(
      await Promise.all([...groupByHost(rows)].map(([hostUuid, some]) => window.run(() => lookThere(hostUuid, some))))
    ).flat(),
  ];
  return rows.map(({ lifecycleId, deckyName, workflowId, hostUuid }): Transition => {
    const sight = sights.find((one) => one.deckyName === deckyName);
    const who = hostUuid === null ? 'the engine' : 'the host';
    const observed = sight?.sentence ?? `${who} did not answer, so what runs is unknown`;
    const error = errorText('WorkflowLost', `${workflowId} ${why}; ${observed}. Deploy it again to be sure.`);
    return {
      lifecycleId,
      deckyName,
      status: STATUS.failed,
      error,
      unsure: true,
      ...(sight?.seen ? { seen: sight.seen } : {}),
    };
  });
}

interface Sight {
  readonly deckyName: string;
  readonly sentence: string;
  readonly seen: DeckyState | null;
}

async function lookHere(rows: readonly OpenRow[]): Promise<Sight[]> {
  const sights: Sight[] = [];
  for (let at = 0; at < rows.length; at += AT_ONCE) {
    const deckyNames = rows.slice(at, at + AT_ONCE).map((row) => row.deckyName);
    try {
      sights.push(...(await onEngine(LOOK, 'look what runs').sightDeckies({ deckyNames })));
    } catch {
      // An engine that does not answer now does not answer for the others either.
      break;
    }
  }
  return sights;
}

/** One shard's rows of a host: the agent's status says how each stands. */
async function lookThere(hostUuid: string, rows: readonly OpenRow[]): Promise<Sight[]> {
  const [row] = rows;
  if (!row) return [];
  const asked = { hostUuid, operationId: row.deploymentId, workflowId: row.workflowId, attempt: 1 };
  const sight = await onAgent(LOOK_THERE, 'look what runs there')
    .askHost(asked)
    .catch(() => null);
  if (!sight?.reachable) return [];
  return rows.map(({ deckyName }) => {
    const one = sight.rows.find((row) => row.deckyName === deckyName);
    const sentence =
      one?.status === 'succeeded'
        ? 'the host says that it runs as it was sent; it was left running'
        : `the host says: ${one?.error ?? 'not done yet'}`;
    return { deckyName, seen: one?.seen ?? null, sentence };
  });
}

function groupByHost(rows: readonly OpenRow[]): ReadonlyMap<string, OpenRow[]> {
  const groups = new Map<string, OpenRow[]>();
  for (const row of rows)
    if (row.hostUuid !== null) groups.set(row.hostUuid, [...(groups.get(row.hostUuid) ?? []), row]);
  return groups;
}
