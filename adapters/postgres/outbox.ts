/** The outbox: events written by the trigger in the transaction of their row, sent to the bus in order, by one at a time. */

import { randomUUID } from 'node:crypto';
import {
  driftSubject,
  type Envelope,
  type EventOrigin,
  lifecycleSubject,
  mutationSubject,
  warningSubject,
} from '../../fleet/lifecycle.ts';
import type { DeployPlan } from '../../fleet/plan-deploy.ts';
import type { Queryable, Sql } from './connect.ts';

export interface OutgoingEvent {
  readonly messageId: string;
  readonly envelope: Envelope;
  readonly origin: EventOrigin;
}

/** Publishes one event and resolves when the bus has it. */
export type Publish = (event: OutgoingEvent) => Promise<void>;

const BATCH = 200;

interface OutboxRow {
  id: string;
  message_id: string;
  decky_name: string;
  type: string;
  event_id: string;
  ts: number;
  payload: Record<string, unknown>;
  deployment_id: string | null;
  host_uuid: string | null;
}

const SUBJECTS: Readonly<Record<string, (deckyName: string) => string>> = Object.freeze({
  lifecycle: lifecycleSubject,
  mutation: mutationSubject,
  drift: driftSubject,
  warning: warningSubject,
});

function toEvent(row: OutboxRow): OutgoingEvent {
  const topic = (SUBJECTS[row.type] ?? lifecycleSubject)(row.decky_name);
  return {
    messageId: row.message_id,
    envelope: { v: 1, id: row.event_id, topic, type: row.type, ts: row.ts, payload: row.payload },
    origin: { deckyName: row.decky_name, deploymentId: row.deployment_id, hostUuid: row.host_uuid },
  };
}

export interface DrainOptions {
  /** How long a drainer that says nothing keeps others from sending. */
  readonly leaseMs?: number;
}

/** A frozen drainer costs the others so long at most. */
const LEASE_MS = 15_000;

/**
 * Sends what is unsent, oldest first, so that order holds for a decky across workflows: one decky's events go one after the
 * other, those of different deckies together. Nothing is locked while the bus is waited for: a lease says who sends. Where
 * another one has it, this returns 0 at once, and that one looks once more for what is there now. Stops after an event that the
 * bus does not take and throws; what was taken is marked. A crash between taking and marking repeats an event with the same
 * message id, and so does one that was frozen and goes on with its batch: the bus drops what it has seen within 24 hours.
 */
export async function drainOutbox(
  sql: Sql,
  publish: Publish,
  signal?: AbortSignal,
  { leaseMs = LEASE_MS }: DrainOptions = {},
): Promise<number> {
  // An idle worker looks every few seconds: that costs no write.
  const [unsent] = await sql`select from outbox where sent_at is null limit 1`;
  if (!unsent) return 0;
  const lease = new OutboxLease(sql, leaseMs);
  if (!(await lease.take())) return 0;
  let sent = 0;
  try {
    for (;;) {
      const { read, count, failure } = await sendBatch(sql, publish, lease, signal);
      sent += count;
      if (failure !== undefined) throw failure;
      if (read < BATCH && (await lease.release())) return sent;
      if (!(await lease.renew())) return sent;
    }
  } catch (error) {
    await lease.abandon();
    throw error;
  }
}

/** Cut where a decky comes again. */
function wavesOf(rows: readonly OutboxRow[]): OutboxRow[][] {
  const waves: OutboxRow[][] = [];
  let names = new Set<string>();
  for (const row of rows) {
    const last = waves.at(-1);
    if (last && !names.has(row.decky_name)) last.push(row);
    else {
      waves.push([row]);
      names = new Set();
    }
    names.add(row.decky_name);
  }
  return waves;
}

async function sendBatch(
  sql: Sql,
  publish: Publish,
  lease: OutboxLease,
  signal?: AbortSignal,
): Promise<{ read: number; count: number; failure?: unknown }> {
  // A message id begins with the id of the row that it is about.
  const rows = await sql<OutboxRow[]>`
    select o.id, message_id, o.decky_name, type, event_id, ts, payload, l.deployment_id,
      coalesce(l.host_uuid, payload->>'host_uuid') as host_uuid
    from (select * from outbox where sent_at is null order by id limit ${BATCH}) o
      left join decky_lifecycle l on l.id = split_part(message_id, ':', 1)
    order by o.id`;
  const taken: string[] = [];
  let failure: unknown;
  for (const wave of wavesOf(rows)) {
    // A wave that begins late in the lease could end after it.
    if (failure !== undefined || (!lease.isFresh && !(await lease.renew()))) break;
    const results = await Promise.allSettled(
      wave.map(async (row) => {
        signal?.throwIfAborted();
        await publish(toEvent(row));
      }),
    );
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') taken.push(wave[index]?.id ?? '');
      else failure ??= result.reason;
    }
  }
  if (taken.length > 0) await sql`update outbox set sent_at = now() where id = any(${taken}::bigint[])`;
  const done = { read: rows.length, count: taken.length };
  return failure === undefined ? done : { ...done, failure };
}

/**
 * Who sends the outbox: one drainer at a time over all workers. A row with an end that the database's clock judges, so that neither
 * a drainer that is stopped (its connection stays open) nor one that is cut off keeps others from sending for longer.
 * Each statement is a transaction of its own: nobody waits for a lock that outlives a round trip.
 */

export class OutboxLease {
  readonly #sql: Sql;
  readonly #ms: number;
  /** New for each drain: one that lost the lease and goes on late is told from the one that has it now. */
  readonly #holder = randomUUID();
  /** By this process's clock, which goes on while the process is stopped. Counted from before the database was asked. */
  #since = 0;

  constructor(sql: Sql, ms: number) {
    this.#sql = sql;
    this.#ms = ms;
  }

  /** False where another one has it; that one is asked to look once more. */
  async take(): Promise<boolean> {
    const asked = performance.now();
    const [row] = await this.#sql<{ mine: boolean }[]>`
      update outbox_lease set
        wanted = expires_at >= now(),
        holder = case when expires_at < now() then ${this.#holder} else holder end,
        expires_at = case when expires_at < now() then now() + ${this.#ms} * interval '1 millisecond' else expires_at end
      returning holder = ${this.#holder} as mine`;
    this.#since = asked;
    return row?.mine === true;
  }

  /** Enough of it is left to begin something. */
  get isFresh(): boolean {
    return performance.now() - this.#since < this.#ms / 2;
  }

  /** False once another one has taken it. Who asked meanwhile is served by what is read after this. */
  async renew(): Promise<boolean> {
    const asked = performance.now();
    const { count } = await this.#sql`
      update outbox_lease set expires_at = now() + ${this.#ms} * interval '1 millisecond', wanted = false
      where holder = ${this.#holder}`;
    this.#since = asked;
    return count > 0;
  }

  /** False where another one came meanwhile: what that one wrote may not have been read yet. */
  async release(): Promise<boolean> {
    const [row] = await this.#sql<{ wanted: boolean }[]>`
      update outbox_lease set expires_at = case when wanted then expires_at else '-infinity' end
      where holder = ${this.#holder} returning wanted`;
    return row?.wanted !== true;
  }

  /** After a failure. Where this fails too, the lease ends by itself. */
  async abandon(): Promise<void> {
    await this.#sql`update outbox_lease set expires_at = '-infinity' where holder = ${this.#holder}`.catch(
      () => undefined,
    );
  }
}

/** What a mutation tells the bus beyond its row's transitions. */

/** The event of a mutation that succeeded (docs/wire.md#events, gap C12); before what was established is written over. */
export async function announceMutations(tx: Queryable, lifecycleIds: readonly string[]): Promise<void> {
  await tx`insert into outbox (message_id, decky_name, type, payload)
    select l.id || ':mutation', l.decky_name, 'mutation',
      jsonb_build_object('decky', l.decky_name, 'old_services', f.established->'config'->'services', 'new_services', f.services,
        'trigger', d.request->>'trigger')
        || case when d.request->>'trigger' = 'operator' then jsonb_build_object('actor', d.username) else '{}'::jsonb end
    from decky_lifecycle l join fleet_deckies f on f.name = l.decky_name join deployments d on d.id = l.deployment_id
    where l.id = any(${[...lifecycleIds]}::text[]) on conflict (message_id) do nothing`;
}

/** What a deploy was warned of, told to the bus with its acceptance. */

/** After the rows: an event belongs to the row of the decky that it names. */
export async function announceWarnings(tx: Queryable, deploymentId: string, told: DeployPlan['told']): Promise<void> {
  if (told.length === 0) return;
  const listed = told.map(({ decky, warning }, index) => ({ decky, warning, index }));
  await tx`insert into outbox (message_id, decky_name, type, payload)
    select l.id || ':warning:' || w.index, l.decky_name, 'warning', jsonb_build_object('lifecycle_id', l.id, 'warning', w.warning)
    from jsonb_to_recordset(${tx.json(listed)}) as w(decky text, warning text, index int)
      join decky_lifecycle l on l.decky_name = w.decky and l.deployment_id = ${deploymentId}
    order by w.index on conflict (message_id) do nothing`;
}
