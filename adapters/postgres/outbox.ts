/** The outbox: events written by the trigger in the transaction of their row, sent to the bus in order, under one lock. */
import type { Envelope, EventOrigin } from '../../fleet/subjects.ts';
import { driftSubject, lifecycleSubject, mutationSubject } from '../../fleet/subjects.ts';
import type { Sql } from './connect.ts';

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
});

function toEvent(row: OutboxRow): OutgoingEvent {
  const topic = (SUBJECTS[row.type] ?? lifecycleSubject)(row.decky_name);
  return {
    messageId: row.message_id,
    envelope: { v: 1, id: row.event_id, topic, type: row.type, ts: row.ts, payload: row.payload },
    origin: { deckyName: row.decky_name, deploymentId: row.deployment_id, hostUuid: row.host_uuid },
  };
}

/**
 * Sends what is unsent, oldest first, so that order holds for a decky across workflows: one decky's events go one after the
 * other, those of different deckies together. A second drainer waits for the lock and then finds the rest. Stops after an
 * event that the bus does not take and throws; what was taken stays marked. A crash between taking and marking repeats an
 * event with the same message id.
 */
export async function drainOutbox(sql: Sql, publish: Publish, signal?: AbortSignal): Promise<number> {
  let sent = 0;
  for (;;) {
    const { count, failure } = await drainBatch(sql, publish, signal);
    sent += count;
    if (failure !== undefined) throw failure;
    if (count < BATCH) return sent;
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

const drainBatch = (sql: Sql, publish: Publish, signal?: AbortSignal): Promise<{ count: number; failure?: unknown }> =>
  sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtext(current_schema() || '/outbox'))`;
    // A message id begins with the id of the row that it is about.
    const rows = await tx<OutboxRow[]>`
      select o.id, message_id, o.decky_name, type, event_id, ts, payload, l.deployment_id,
        coalesce(l.host_uuid, payload->>'host_uuid') as host_uuid
      from (select * from outbox where sent_at is null order by id limit ${BATCH}) o
        left join decky_lifecycle l on l.id = split_part(message_id, ':', 1)
      order by o.id`;
    const taken: string[] = [];
    let failure: unknown;
    for (const wave of wavesOf(rows)) {
      if (failure !== undefined) break;
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
    if (taken.length > 0) await tx`update outbox set sent_at = now() where id = any(${taken}::bigint[])`;
    return failure === undefined ? { count: taken.length } : { count: taken.length, failure };
  });
