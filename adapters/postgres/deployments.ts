/**
 * Requests: stored before anything starts, and the judge of what became of them. `received → accepted | refused |
 * withdrawn`, by conditional updates only (docs/states/request.md).
 */
import { DeckhandError, type ErrorCode } from '../../fleet/errors.ts';
import {
  type Operation,
  type Outcome,
  REQUEST_STATE,
  type RequestKind,
  type RequestState,
} from '../../fleet/lifecycle.ts';
import type { RolloutOptions } from '../../fleet/limits.ts';
import { type NewOperationRequest, OperationRequest, type RequestOf } from '../../fleet/requests.ts';
import type { Deployment, DeploymentDetail, DeploymentRow } from '../../fleet/rows.ts';
import { isUniqueViolation, type Queryable, reachable, type Sql } from './connect.ts';

export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** A request without what it asks for. */
export interface RequestHead {
  readonly id: string;
  readonly kind: RequestKind;
  readonly workflowId: string;
  readonly state: RequestState;
  readonly username: string;
  readonly options: RolloutOptions;
  readonly mode: string | null;
  readonly warnings: readonly string[];
  readonly refusal: Refusal | null;
  /** True once every row of it has ended and the workflow said so. */
  readonly ended: boolean;
}

/** A request of one kind, or of any of several, as acceptance works on it. */
export type StoredRequest<K extends RequestKind = RequestKind> = {
  [P in K]: Omit<RequestHead, 'kind'> & RequestOf<P>;
}[K];

export type NewRequest = Pick<RequestHead, 'id' | 'workflowId' | 'username' | 'options'> &
  NewOperationRequest & {
    readonly idempotency: { readonly route: string; readonly key: string; readonly body_hash: string } | null;
  };

const HEAD = (sql: Queryable) => sql`
  id, kind, workflow_id as "workflowId", state, username, options, mode, warnings, refusal, ended_at is not null as ended`;

const asJson = (sql: Queryable, value: unknown) => sql.json(JSON.parse(JSON.stringify(value ?? null)));

/** Stores a request. With a key that is in use for the same body the earlier request's id comes back; for another body, IdempotencyKeyReused. */
export async function storeRequest(sql: Sql, request: NewRequest): Promise<{ id: string; repeated: boolean }> {
  const { idempotency } = request;
  try {
    if (idempotency) await sql.begin((tx) => insertWithKey(tx, request, idempotency));
    else await insertRequest(sql, request);
    return { id: request.id, repeated: false };
  } catch (error) {
    if (!idempotency || !isUniqueViolation(error)) throw error;
    return { id: await earlierRequest(sql, request.username, idempotency), repeated: true };
  }
}

async function insertWithKey(
  tx: Queryable,
  request: NewRequest,
  { route, key, body_hash }: NonNullable<NewRequest['idempotency']>,
): Promise<void> {
  await insertRequest(tx, request);
  await tx`delete from idempotency_keys where username = ${request.username} and route = ${route} and key = ${key}
    and created_at < now() - interval '24 hours'`;
  await tx`insert into idempotency_keys (username, route, key, body_hash, deployment_id)
    values (${request.username}, ${route}, ${key}, ${body_hash}, ${request.id})`;
}

const insertRequest = (sql: Queryable, request: NewRequest) => sql`
  insert into deployments (id, kind, workflow_id, username, request, options, network) values (
    ${request.id}, ${request.kind}, ${request.workflowId}, ${request.username},
    ${asJson(sql, request.request)}, ${asJson(sql, request.options)}, ${asJson(sql, 'network' in request ? request.network : null)})`;

type ClockRequest = Pick<RequestHead, 'id' | 'workflowId' | 'username' | 'options'> & NewOperationRequest;

/** For requests that the clock makes, whose activity may be tried again: safe to repeat. */
export async function storeClockRequest(sql: Sql, request: ClockRequest): Promise<void> {
  try {
    await storeRequest(sql, { ...request, idempotency: null });
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
  }
}

async function earlierRequest(
  sql: Queryable,
  username: string,
  key: NonNullable<NewRequest['idempotency']>,
): Promise<string> {
  const [row] = await sql<{ body_hash: string; deployment_id: string }[]>`
    select body_hash, deployment_id from idempotency_keys where username = ${username} and route = ${key.route} and key = ${key.key}`;
  if (!row)
    throw new DeckhandError('Unavailable', 'The Idempotency-Key was freed just now by another request; try again.');
  if (row.body_hash !== key.body_hash)
    throw new DeckhandError(
      'IdempotencyKeyReused',
      `The Idempotency-Key ${JSON.stringify(key.key)} was used with another body; use a new key.`,
    );
  return row.deployment_id;
}

export async function loadRequest(sql: Queryable, id: string): Promise<RequestHead | null> {
  const [row] = await sql<RequestHead[]>`select ${HEAD(sql)} from deployments where id = ${id}`;
  return row ?? null;
}

/** What was asked for is as it was stored; {@link parseRequest} reads it. */
export interface LockedRequest extends RequestHead {
  readonly request: unknown;
  readonly network: unknown;
}

/** Locks the request's row until the transaction ends. */
export async function lockRequest(tx: Queryable, id: string): Promise<LockedRequest | null> {
  const [row] = await tx<LockedRequest[]>`
    select ${HEAD(tx)}, request, network from deployments where id = ${id} for update`;
  return row ?? null;
}

/** Throws InvalidRequest for one that another version stored and this one can't read. */
export function parseRequest(stored: LockedRequest): StoredRequest {
  const parsed = OperationRequest.safeParse(stored);
  if (parsed.success) return { ...stored, ...parsed.data };
  const text = `The request of the kind ${stored.kind} was stored by a version that this one does not read. Make it again.`;
  throw new DeckhandError('InvalidRequest', text, { cause: parsed.error });
}

/** What acceptance found out beside the rows. */
export interface Accepted {
  readonly mode?: string;
  readonly isNetworkMoved?: boolean;
  readonly warnings?: readonly string[];
}

/** `received → accepted`, in the transaction that writes its rows. */
export const markAccepted = (tx: Queryable, id: string, { mode, isNetworkMoved, warnings }: Accepted = {}) => tx`
  update deployments set state = 'accepted', decided_at = now(), mode = coalesce(${mode ?? null}::text, mode),
    network_moved = coalesce(${isNetworkMoved ?? null}::boolean, network_moved),
    warnings = coalesce(${warnings ? tx.json([...warnings]) : null}::jsonb, warnings)
  where id = ${id}`;

/** `received → withdrawn | refused`, and its key is free again. Returns the state that holds now; null for an unknown id. */
export async function closeRequest(
  sql: Sql,
  id: string,
  to: 'withdrawn' | 'refused',
  refusal: Refusal | null,
): Promise<RequestState | null> {
  return sql.begin(async (tx) => {
    const changed =
      await tx`update deployments set state = ${to}, refusal = ${asJson(tx, refusal)}, decided_at = now(), ended_at = now(), outcome = ${to}
      where id = ${id} and state = 'received' returning id`;
    if (changed.length > 0) await tx`delete from idempotency_keys where deployment_id = ${id}`;
    const [row] = await tx<{ state: RequestState }[]>`select state from deployments where id = ${id}`;
    return row?.state ?? null;
  });
}

/** Ids that a `202` returns: the rows of the wanted deckies, and those of the deckies that go, in their order. */
export async function returnedIds(
  sql: Queryable,
  id: string,
): Promise<{ lifecycle_ids: string[]; removed_lifecycle_ids: string[] }> {
  const rows = await sql<
    { id: string; operation: Operation }[]
  >`select id, operation from decky_lifecycle where deployment_id = ${id} order by position`;
  const of = (wanted: boolean) => rows.filter((row) => (row.operation !== 'teardown') === wanted).map((row) => row.id);
  return { lifecycle_ids: of(true), removed_lifecycle_ids: of(false) };
}

export interface Finished {
  /** Null: some of its rows are open, or it was never accepted. */
  readonly outcome: Outcome | null;
  /** True for the call that ended it. */
  readonly now: boolean;
}

/** Begins the error of a row that ended because its operation was cancelled. */
const CANCELLED_ROW = 'Cancelled: %';

/**
 * Ends an accepted deployment once none of its rows is open. `cancelled`: its workflow was asked to end. Where that came too
 * late for any row, the deployment succeeded or failed as its rows did.
 */
export async function finishDeployment(sql: Queryable, id: string, cancelled = false): Promise<Finished> {
  const ended = await sql`update deployments d set ended_at = now(), outcome = case
        when ${cancelled} and exists (select from decky_lifecycle where deployment_id = d.id and status = 'failed' and error like ${CANCELLED_ROW}) then 'cancelled'
        when exists (select from decky_lifecycle where deployment_id = d.id and status = 'failed') then 'failed' else 'succeeded' end
    where id = ${id} and state = 'accepted' and ended_at is null
      and not exists (select from decky_lifecycle where deployment_id = d.id and status in ('pending', 'running')) returning id`;
  const [row] = await sql<{ outcome: Outcome | null }[]>`select outcome from deployments where id = ${id}`;
  return { outcome: row?.outcome ?? null, now: ended.length > 0 };
}

export interface DeploymentReader {
  /** Newest first; `after` is the id of the last one of the page before. */
  list(limit: number, after?: string): Promise<Deployment[]>;
  get(id: string): Promise<DeploymentDetail | null>;
}

const VIEW = (sql: Queryable) => sql`
  d.id as deployment_id, d.kind, d.state, d.outcome, d.username, iso(d.received_at) as created_at, iso(d.ended_at) as ended_at,
  (select jsonb_build_object('pending', count(*) filter (where status = 'pending'), 'running', count(*) filter (where status = 'running'),
     'succeeded', count(*) filter (where status = 'succeeded'), 'failed', count(*) filter (where status = 'failed'))
   from decky_lifecycle l where l.deployment_id = d.id) as counts`;

export function createDeploymentReader(sql: Sql): DeploymentReader {
  return {
    list: (limit, after) =>
      reachable(
        () => sql<Deployment[]>`select ${VIEW(sql)} from deployments d
          where true ${after === undefined ? sql`` : sql`and (received_at, id) < (select received_at, id from deployments where id = ${after})`}
          order by received_at desc, id desc limit ${limit}`,
      ),
    get: (id) => reachable(() => readDetail(sql, id)),
  };
}

async function readDetail(sql: Sql, id: string): Promise<DeploymentDetail | null> {
  const [view] = await sql<(Deployment & Pick<DeploymentDetail, 'warnings' | 'refusal'>)[]>`
    select ${VIEW(sql)}, warnings, refusal from deployments d where id = ${id}`;
  if (!view) return null;
  const rows = await sql<DeploymentRow[]>`
    select l.id, decky_name, host_uuid, h.name as host_name, operation, l.status, step, attempt, error, iso(started_at) as started_at,
      iso(updated_at) as updated_at, iso(completed_at) as completed_at
    from decky_lifecycle l left join swarm_hosts h on h.uuid = l.host_uuid where deployment_id = ${id} order by position`;
  return { ...view, rows, waiting_for: await waitingFor(sql, view, rows) };
}

async function waitingFor(sql: Sql, view: Deployment, rows: readonly DeploymentRow[]): Promise<string | null> {
  if (view.state === REQUEST_STATE.received) return 'a worker to accept the request';
  const open = rows.filter((row) => row.status === 'pending' || row.status === 'running');
  if (open.length === 0) return null;
  const [ahead] = await sql<{ operation_id: string; workflow_id: string }[]>`
    select a.operation_id, a.workflow_id from host_tickets mine join host_tickets a
      on a.host_uuid = mine.host_uuid and a.number < mine.number and a.closed_at is null
    where mine.operation_id = ${view.deployment_id} and mine.closed_at is null order by a.number limit 1`;
  if (ahead) return `its turn on the host: ${ahead.workflow_id} was accepted before and still works there`;
  const running = open.filter((row) => row.status === 'running');
  const named = (running.length > 0 ? running : open).slice(0, 5);
  const hosts = await namedHosts(sql, named);
  const phrases = named.map(({ decky_name, host_uuid, step }) =>
    [decky_name, host_uuid && `on ${hosts.get(host_uuid) ?? host_uuid}`, step && `(${step})`].filter(Boolean).join(' '),
  );
  const more = open.length - named.length;
  return `${phrases.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Hosts by name, with what keeps one that is silent. */
async function namedHosts(sql: Sql, rows: readonly DeploymentRow[]): Promise<ReadonlyMap<string, string>> {
  const uuids = [...new Set(rows.flatMap((row) => row.host_uuid ?? []))];
  if (uuids.length === 0) return new Map();
  const hosts = await sql<{ uuid: string; name: string; status: string; seen: string | null }[]>`
    select uuid, name, status, iso(last_heartbeat) as seen from swarm_hosts where uuid = any(${uuids})`;
  const silence = ({ status, seen }: { status: string; seen: string | null }): string =>
    status === 'unreachable' ? ` (no sign of life since ${seen ?? 'it was enrolled'})` : '';
  return new Map(hosts.map((host) => [host.uuid, `${host.name}${silence(host)}`]));
}

/** How long an operation that has ended took, by phase, for metrics. */

export interface OperationTimes {
  readonly kind: string;
  readonly outcome: string;
  /** From the stored request until it was judged, and until it had ended; in seconds. */
  readonly acceptSeconds: number;
  readonly totalSeconds: number;
  readonly rows: readonly RowTimes[];
}

/** Of a row that came to its turn; in seconds. */
export interface RowTimes {
  readonly queueSeconds: number;
  readonly convergeSeconds: number;
}

/** Null where the operation has not ended, or was never accepted. */
export async function readOperationTimes(sql: Queryable, id: string): Promise<OperationTimes | null> {
  const [operation] = await sql<Omit<OperationTimes, 'rows'>[]>`
    select kind, outcome, extract(epoch from decided_at - received_at)::float8 as "acceptSeconds",
      extract(epoch from ended_at - received_at)::float8 as "totalSeconds"
    from deployments where id = ${id} and state = 'accepted' and ended_at is not null`;
  if (!operation) return null;
  const rows = await sql<RowTimes[]>`
    select extract(epoch from dispatched_at - started_at)::float8 as "queueSeconds",
      extract(epoch from completed_at - dispatched_at)::float8 as "convergeSeconds"
    from decky_lifecycle where deployment_id = ${id} and dispatched_at is not null and completed_at is not null`;
  return { ...operation, rows };
}
