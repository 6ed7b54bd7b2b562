/** Rows whose workflow ended without ending them: their engine or host is asked, then they end as failed, saying what was observed. */
import { ActivityFailure } from '@temporalio/workflow';
import { errorText } from '../fleet/errors.ts';
import { questionKey } from '../fleet/hosts.ts';
import { type DeckyState, STATUS, type Transition } from '../fleet/lifecycle.ts';
import { inBatches } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import type { OperationPart } from '../operations/operation-parts.ts';
import { onAgent, onEngine, openRows, recordTransitions } from './activities.ts';
import { type Counts, failedRows, Window } from './operation.ts';
import { OBSERVE_ENGINE, OBSERVE_HOST } from './profiles.ts';

/** Rows in one write, deckies in one observation of the engine. */
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
  const observations = [
    ...(await observeEngine(local)),
    ...(await Promise.all(byHostAndWorkflow(rows).map((some) => window.run(() => observeHost(some))))).flat(),
  ];
  return rows.map(({ lifecycleId, deckyName, workflowId, hostUuid }): Transition => {
    const observation = observations.find((one) => one.deckyName === deckyName);
    const who = hostUuid === null ? 'the engine' : 'the host';
    const observed = observation?.sentence ?? `${who} did not answer, so what runs is unknown`;
    const error = errorText('WorkflowLost', `${workflowId} ${why}; ${observed}. Deploy it again to be sure.`);
    return {
      lifecycleId,
      deckyName,
      status: STATUS.failed,
      error,
      unsure: true,
      ...(observation?.seen ? { seen: observation.seen } : {}),
    };
  });
}

interface Observation {
  readonly deckyName: string;
  readonly sentence: string;
  readonly seen: DeckyState | null;
}

async function observeEngine(rows: readonly OpenRow[]): Promise<Observation[]> {
  const observations: Observation[] = [];
  for (let at = 0; at < rows.length; at += AT_ONCE) {
    const deckyNames = rows.slice(at, at + AT_ONCE).map((row) => row.deckyName);
    try {
      observations.push(...(await onEngine(OBSERVE_ENGINE, 'look what runs').sightDeckies({ deckyNames })));
    } catch {
      // An engine that does not answer now does not answer for the others either.
      break;
    }
  }
  return observations;
}

/** The rows of one workflow on a host: the agent's status says how each stands. */
async function observeHost(rows: readonly OpenRow[]): Promise<Observation[]> {
  const [row] = rows;
  if (!row?.hostUuid) return [];
  const { hostUuid } = row;
  const asked = { hostUuid, operationId: row.deploymentId, workflowId: row.workflowId, attempt: 1 };
  const observation = await onAgent(OBSERVE_HOST, 'look what runs there')
    .askHost(asked)
    .catch(() => null);
  if (!observation?.reachable) return [];
  return rows.map(({ deckyName }) => {
    const one = observation.rows.find((row) => row.deckyName === deckyName);
    const sentence =
      one?.status === 'succeeded'
        ? 'the host says that it runs as it was sent; it was left running'
        : `the host says: ${one?.error ?? 'not done yet'}`;
    return { deckyName, seen: one?.seen ?? null, sentence };
  });
}

/** The rows of each question: those of one workflow on one host. */
function byHostAndWorkflow(rows: readonly OpenRow[]): readonly (readonly OpenRow[])[] {
  const groups = new Map<string, OpenRow[]>();
  for (const row of rows) {
    if (row.hostUuid === null) continue;
    const key = questionKey(row);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** Ends what the children of local parts left open: with the sentence given, or, where the child was terminated or failed, with what the engine says. */
export async function settleParts(parts: readonly OperationPart[], error: string | null): Promise<Counts> {
  let failed = 0;
  for (const part of parts) {
    const rows = await openRows({ workflowId: part.workflowId });
    if (error === null) await settleLost(rows);
    else await recordTransitions({ transitions: failedRows(rows, error) });
    failed += rows.length;
  }
  return { succeeded: 0, failed };
}
