/** The outbox: events written by the trigger in the transaction of their row, sent to the bus in order, by one at a time. */
import {
  driftSubject,
  type Envelope,
  type EventOrigin,
  lifecycleSubject,
  mutationSubject,
  warningSubject,
} from '../../fleet/lifecycle.ts';
import type { Sql } from './connect.ts';
import { OutboxLease } from './outbox-lease.ts';

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
