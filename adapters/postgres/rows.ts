/**
 * Statements on lifecycle rows, and the one place that writes their transitions (docs/states/row.md).
 *
 * - {@link createLifecycleReader}: rows for clients, with {@link EndedRows}, which need not be read again.
 * - {@link openRowsOf} and its like: rows that workflows work on.
 * - {@link recordTransitions}: what becomes of a row, and what that means for its decky.
 * - {@link insertRows}: the rows of an accepted request.
 */

import { randomUUID } from 'node:crypto';
import { errorText, rowText } from '../../fleet/errors.ts';
import { localWorkflowId, shardWorkflowId } from '../../fleet/housekeeping.ts';
import {
  DECKY_STATE,
  type DeckyState,
  hasEnded,
  LOCAL_HOST,
  OPERATION,
  type Operation,
  STATUS,
  type Status,
  type Transition,
} from '../../fleet/lifecycle.ts';
import { LIMITS } from '../../fleet/limits.ts';
import type { LifecycleRow, OpenRow } from '../../fleet/rows.ts';
import { boundedText, LONGEST_STEP } from '../../fleet/text.ts';
import { isDataError, type Queryable, reachable, type Sql, type TransactionSql } from './connect.ts';
import type { StoredRequest } from './deployments.ts';
import { announceMutations } from './outbox.ts';
import { settlePendingReconciles, settleTeardowns, showGoing, stayWhereTheyRun } from './pending-work.ts';
import { openTickets } from './tickets.ts';

export interface LifecycleReader {
  /** Unknown ids are left out; ordered by started_at. */
  byIds(ids: readonly string[]): Promise<LifecycleRow[]>;
  /** Teardowns that are under way on a host; null: everywhere. */
  openTeardowns(hostUuid: string | null): Promise<string[]>;
}

/** What PostgreSQL writes of a time by itself; {@link isoOfText} makes the wire's form of it, which `to_char` takes far longer for. */
const utcText = (sql: Queryable, column: string) => sql`(${sql(column)} at time zone 'utc')::text as ${sql(column)}`;

const readRows = (sql: Sql, ids: readonly string[]): Promise<Placed[]> =>
  reachable(async () => {
    const rows = await sql<(LifecycleRow & { position: number })[]>`
      select id, decky_name, host_uuid, operation, status, error, ${utcText(sql, 'started_at')}, ${utcText(sql, 'updated_at')},
        ${utcText(sql, 'completed_at')}, position
      from decky_lifecycle where id = any(${[...ids]})`;
    return rows.map(({ position, ...row }) => ({
      position,
      row: {
        ...row,
        started_at: isoOfText(row.started_at),
        updated_at: isoOfText(row.updated_at),
        completed_at: row.completed_at && isoOfText(row.completed_at),
      },
    }));
  });

export function createLifecycleReader(sql: Sql): LifecycleReader {
  const ended = new EndedRows();
  return {
    async byIds(ids) {
      const known = new Map(ids.map((id) => [id, ended.get(id)]));
      const unknown = [...known].flatMap(([id, placed]) => (placed === null ? [id] : []));
      const read = unknown.length === 0 ? [] : await readRows(sql, unknown);
      ended.add(read);
      return inOrder([...[...known.values()].filter((placed) => placed !== null), ...read]);
    },
    openTeardowns: (hostUuid) =>
      reachable(async () => {
        const rows = await sql<{ id: string }[]>`
          select id from decky_lifecycle where status in ('pending', 'running') and operation = 'teardown'
            and (${hostUuid}::text is null or host_uuid = ${hostUuid}) order by started_at, position`;
        return rows.map((row) => row.id);
      }),
  };
}

const OPEN_ROW = (sql: Queryable) => sql`
  id as "lifecycleId", decky_name as "deckyName", host_uuid as "hostUuid", operation, status, workflow_id as "workflowId", deployment_id as "deploymentId"`;

/**
 * The open row of a decky `f`, for a lateral join. The limit, which there never is more than, makes PostgreSQL look it up by
 * name: without it, it reads all open rows of the fleet for each host, since its statistics know nothing yet of those that a
 * large deploy has just made.
 */
export const openRowOf = (sql: Queryable) => sql`
  select * from decky_lifecycle o where o.decky_name = f.name and o.status in ('pending', 'running') limit 1`;

/** The rows of a workflow that are still open, in their order of work. */
export const openRowsOf = (sql: Queryable, workflowId: string): Promise<OpenRow[]> =>
  sql<
    OpenRow[]
  >`select ${OPEN_ROW(sql)} from decky_lifecycle where workflow_id = ${workflowId} and status in ('pending', 'running') order by position`;

/** Every open row older than `ageMs`, for the sweep. */
export const openRowsOlderThan = (sql: Queryable, ageMs: number): Promise<OpenRow[]> =>
  sql<OpenRow[]>`select ${OPEN_ROW(sql)} from decky_lifecycle
    where status in ('pending', 'running') and started_at < now() - ${ageMs} * interval '1 millisecond' order by started_at, position`;

/**
 * Writes transitions in order, and what they mean for the fleet, in one transaction; the trigger adds the outbox rows.
 * Safe to repeat: a row that is already there or beyond is left alone. Returns the lifecycle ids that moved.
 */
export const recordTransitions = (sql: Sql, transitions: readonly Transition[]): Promise<string[]> =>
  recordWith(sql, transitions, async (_tx, moved) => moved);

/**
 * As {@link recordTransitions}, with `rest` in the same transaction. Data that PostgreSQL refuses is no reason to try for ever:
 * then each transition is written by itself, and one that is refused ends its row with a sentence that says so.
 */
export async function recordWith<T>(
  sql: Sql,
  transitions: readonly Transition[],
  rest: (tx: Queryable, moved: string[]) => Promise<T>,
): Promise<T> {
  try {
    return (await sql.begin(async (tx) => rest(tx, await recordInTransaction(tx, transitions)))) as T;
  } catch (error) {
    if (!isDataError(error)) throw error;
    return (await sql.begin(async (tx) => rest(tx, await recordOneByOne(tx, transitions)))) as T;
  }
}

async function recordOneByOne(tx: TransactionSql, transitions: readonly Transition[]): Promise<string[]> {
  const moved: string[] = [];
  const refused = new Set<string>();
  for (const transition of transitions) {
    const { lifecycleId, deckyName } = transition;
    if (refused.has(lifecycleId)) continue;
    try {
      moved.push(...(await tx.savepoint((sp) => recordInTransaction(sp, [transition]))));
    } catch (error) {
      if (!isDataError(error)) throw error;
      refused.add(lifecycleId);
      moved.push(...(await endRefused(tx, lifecycleId, deckyName, (error as Error).message)));
    }
  }
  return moved;
}

/** Where the fleet does not take the end either, the row ends alone. */
async function endRefused(tx: TransactionSql, id: string, deckyName: string, why: string): Promise<string[]> {
  const error = errorText('Internal', `what the host reported could not be stored: ${why}`);
  try {
    return await tx.savepoint((sp) =>
      recordInTransaction(sp, [{ lifecycleId: id, deckyName, status: STATUS.failed, error }]),
    );
  } catch (second) {
    if (!isDataError(second)) throw second;
    const rows = await tx<{ id: string }[]>`update decky_lifecycle set status = 'failed', error = ${error}, step = null
      where id = ${id} and status in ('pending', 'running') returning id`;
    return rows.map((row) => row.id);
  }
}

/** As {@link recordTransitions}, in the caller's transaction. */
async function recordInTransaction(tx: Queryable, transitions: readonly Transition[]): Promise<string[]> {
  const moved: string[] = [];
  for (const run of runsOfOneStatus(transitions)) moved.push(...(await recordRun(tx, run)));
  return moved;
}

/** Cuts the list where the status changes or a row comes again, so that each run is one statement and order holds. */
function runsOfOneStatus(transitions: readonly Transition[]): Transition[][] {
  const runs: Transition[][] = [];
  for (const transition of transitions) {
    const last = runs.at(-1);
    if (last?.[0]?.status === transition.status) last.push(transition);
    else runs.push([transition]);
  }
  return runs;
}

/** The last guard: whoever made the transition has bounded its text, and knows the states. */
const STATES: readonly unknown[] = Object.values(DECKY_STATE);
const knownState = (seen: DeckyState | undefined): DeckyState | null => (seen && STATES.includes(seen) ? seen : null);

/** A row that just moved. `seen`: what was seen of the decky; `unsure`: its host was sent it, and did not say how it ended. */
interface MovedRow extends Pick<LifecycleRow, 'id' | 'decky_name' | 'host_uuid' | 'operation' | 'error'> {
  readonly seen: string | null;
  readonly unsure: boolean;
}

async function recordRun(tx: Queryable, run: readonly Transition[]): Promise<string[]> {
  const from: readonly Status[] =
    run[0]?.status === STATUS.failed
      ? [STATUS.pending, STATUS.running]
      : run[0]?.status === STATUS.running
        ? [STATUS.pending]
        : [STATUS.running];
  // Not `status = any`: the index of open rows would be taken, and all open rows of the fleet read.
  const rows = await tx<MovedRow[]>`
    update decky_lifecycle l set status = t.status, error = t.error, step = null
    from (select * from unnest(
      ${run.map((t) => t.lifecycleId)}::text[], ${run.map((t) => t.status)}::text[],
      ${run.map((t) => (t.error === undefined ? null : rowText(t.error)))}::text[], ${run.map((t) => knownState(t.seen))}::text[],
      ${run.map((t) => String(t.unsure === true))}::text[]
    ) as t (id, status, error, seen, unsure)) t
    where l.id = t.id and array_position(${[...from]}::text[], l.status) is not null
    returning l.id, l.decky_name, l.host_uuid, l.operation, l.error, t.seen, t.unsure = 'true' and l.dispatched_at is not null as unsure`;
  if (run[0]?.status !== STATUS.running) await settlePendingReconciles(tx, rows);
  if (run[0]?.status === STATUS.succeeded) {
    const mutated = rows.filter((row) => row.operation === 'mutate').map((row) => row.id);
    if (mutated.length > 0) await announceMutations(tx, mutated);
  }
  for (const operation of new Set(rows.map((row) => row.operation))) {
    await settleFleet(
      tx,
      run[0]?.status as Transition['status'],
      operation,
      rows.filter((row) => row.operation === operation),
    );
  }
  return rows.map((row) => row.id);
}

/** What the end of a row means for the decky: docs/states/row.md. */
async function settleFleet(
  tx: Queryable,
  status: Transition['status'],
  operation: Operation,
  rows: readonly MovedRow[],
): Promise<void> {
  const names = rows.map((row) => row.decky_name);
  if (operation === 'teardown') await settleTeardowns(tx, status, rows);
  else if (status === STATUS.succeeded) {
    // A host's agent gives addresses of its own net (gap B12), and has reported them before its decky was done.
    await tx`update fleet_deckies f set state = case when f.stopped then 'stopped' else 'running' end, last_error = null, last_seen = now(), updated_at = now(),
        decky_ip = r.ip, decky_config = r.config,
        established = jsonb_build_object('config', r.config, 'custom_services', f.custom_services)
      from (select n.name, a.ip, jsonb_set(n.decky_config, '{ip}', to_jsonb(a.ip)) as config
        from fleet_deckies n left join decky_shards s on s.host_uuid = n.host_uuid and s.decky_name = n.name
          cross join lateral (select coalesce(nullif(s.decky_ip, ''), n.decky_ip) as ip) a
        where n.name = any(${names})) r
      where f.name = r.name`;
  } else if (status === STATUS.failed) {
    // Established deckies fall back to the version that came up last; the others stay listed as what was seen of them.
    await tx`update fleet_deckies f set
        state = coalesce(r.seen, case when f.established is null then 'failed' else f.state end), last_error = r.error, updated_at = now(),
        decky_config = coalesce(f.established->'config', f.decky_config),
        custom_services = coalesce(f.established->'custom_services', f.custom_services),
        services = coalesce(f.established->'config'->'services', f.services),
        decky_ip = coalesce(f.established->'config'->>'ip', f.decky_ip)
      from unnest(${names}::text[], ${rows.map((row) => row.error)}::text[], ${rows.map((row) => row.seen)}::text[]) as r (name, error, seen)
      where f.name = r.name`;
    if (operation === 'deploy')
      await stayWhereTheyRun(
        tx,
        rows.map((row) => row.id),
      );
  }
}

/** What is being done for each decky right now, for screens; a row that has ended is left alone. A null step: nothing that is known. */
export async function noteSteps(
  sql: Queryable,
  steps: ReadonlyMap<string, { step: string | null; attempt: number }>,
): Promise<void> {
  if (steps.size === 0) return;
  const notes = [...steps.values()];
  const texts = notes.map(({ step }) => (step === null ? null : boundedText(step, LONGEST_STEP)));
  await sql`update decky_lifecycle l set step = n.step, attempt = n.attempt
    from unnest(${[...steps.keys()]}::text[], ${texts}::text[], ${notes.map((note) => note.attempt)}::int[]) as n (id, step, attempt)
    where l.id = n.id and l.status in ('pending', 'running') and (l.step, l.attempt) is distinct from (n.step, n.attempt)`;
}

/** Rows that have ended never change (promise 2), so whoever polls for them need not ask PostgreSQL each time. */

/** A row with what it is ordered by, besides when it began. */
export interface Placed {
  readonly row: LifecycleRow;
  readonly position: number;
}

/** About 2 MB, and 20 where each has the longest of errors. */
const MOST = 5_000;
/** They may be pruned: what is gone is not shown for much longer. */
const KEPT_MS = 60_000;

export class EndedRows {
  readonly #rows = new Map<string, { readonly placed: Placed; readonly until: number }>();

  get(id: string, now = Date.now()): Placed | null {
    const known = this.#rows.get(id);
    return known && known.until > now ? known.placed : null;
  }

  /** Keeps those that have ended; the longest known go first. */
  add(rows: readonly Placed[], now = Date.now()): void {
    for (const placed of rows) {
      const { id, status } = placed.row;
      if (!hasEnded(status)) continue;
      this.#rows.delete(id);
      this.#rows.set(id, { placed, until: now + KEPT_MS });
    }
    for (const id of this.#rows.keys()) {
      if (this.#rows.size <= MOST) break;
      this.#rows.delete(id);
    }
  }
}

/** As `order by started_at, position` does. */
export const inOrder = (rows: readonly Placed[]): LifecycleRow[] => [...rows].sort(compare).map(({ row }) => row);

function compare(left: Placed, right: Placed): number {
  const [first, second] = [left.row.started_at, right.row.started_at];
  if (first !== second) return first < second ? -1 : 1;
  return left.position - right.position;
}

/** Times as the wire has them, made of what PostgreSQL writes. */

const SECONDS_END = 19;
const MICROSECONDS = 6;

/** `2026-11-24 18:36:51.12` (a `timestamp` in UTC, as text) is `2026-11-24T18:36:51.120000Z`: always six places, as the function `iso`. */
export function isoOfText(text: string): string {
  const fraction = text.slice(SECONDS_END + 1).padEnd(MICROSECONDS, '0');
  return `${text.slice(0, 10)}T${text.slice(11, SECONDS_END)}.${fraction}Z`;
}

/** The lifecycle rows of an accepted request, each with the workflow that owns it, a ticket for each host, and what is shown of deckies that go. */

export interface NewRow {
  readonly name: string;
  /** Null: the master's own engine. */
  readonly hostUuid: string | null;
  readonly operation: Operation;
}

/**
 * Removals have to stand first, so that an address or a name is free before the creation that needs it.
 */
export async function insertRows(tx: Queryable, request: StoredRequest, work: readonly NewRow[]): Promise<void> {
  const workflows = new Map<string, string>();
  let local = 0;
  const workflowOf = (host: string | null): string => {
    workflows.set(host ?? LOCAL_HOST, host === null ? request.workflowId : shardWorkflowId(request.id, host));
    return host === null
      ? localWorkflowId(request.id, Math.floor(local++ / LIMITS.localChunk) + 1)
      : shardWorkflowId(request.id, host);
  };
  const rows = work.map(({ name, hostUuid, operation }, position) => ({
    id: randomUUID(),
    decky_name: name,
    host_uuid: hostUuid,
    operation,
    deployment_id: request.id,
    workflow_id: workflowOf(hostUuid),
    position,
  }));
  const tickets = [...workflows].map(([hostUuid, workflowId]) => ({ hostUuid, operationId: request.id, workflowId }));
  await Promise.all([
    tx`insert into decky_lifecycle (id, decky_name, host_uuid, operation, deployment_id, workflow_id, position)
      select * from jsonb_to_recordset(${tx.json(rows)}) as r (id text, decky_name text, host_uuid text, operation text, deployment_id text, workflow_id text, position integer)`,
    openTickets(tx, tickets),
    showGoing(
      tx,
      work.filter(({ operation }) => operation === OPERATION.teardown),
    ),
  ]);
}

/** The one row of a request for one decky: its id is the request's. Its host gets a ticket. */
export async function insertSingleRow(
  tx: Queryable,
  request: StoredRequest,
  { name, hostKey, operation }: { readonly name: string; readonly hostKey: string; readonly operation: Operation },
): Promise<void> {
  await tx`insert into decky_lifecycle ${tx({
    id: request.id,
    decky_name: name,
    host_uuid: hostKey === LOCAL_HOST ? null : hostKey,
    operation,
    deployment_id: request.id,
    workflow_id: request.workflowId,
    position: 0,
  })}`;
  await openTickets(tx, [{ hostUuid: hostKey, operationId: request.id, workflowId: request.workflowId }]);
}

/** Shows of each row why it was made. */
export const noteReasons = (
  tx: Queryable,
  deploymentId: string,
  names: readonly string[],
  reasons: readonly string[],
) => tx`
  update decky_lifecycle l set step = r.reason
  from unnest(${[...names]}::text[], ${[...reasons]}::text[]) as r (name, reason)
  where l.deployment_id = ${deploymentId} and l.decky_name = r.name`;
