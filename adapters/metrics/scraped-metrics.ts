/**
 * Metrics that are read when somebody scrapes.
 *
 * - reading once for all gauges, within a limit
 * - what stands in PostgreSQL
 * - sizes of what is kept elsewhere: the stream of events, and closed workflows
 */
import { Gauge, type Registry } from 'prom-client';
import { DRIFT } from '../../fleet/drift.ts';
import { DECKY_STATE, OPERATION, STATUS } from '../../fleet/lifecycle.ts';
import { HOST_STATUS } from '../postgres/hosts.ts';
import type { Figures } from '../postgres/upkeep.ts';

interface Sharing {
  /** Scrapes within this time share one read. */
  readonly freshMs: number;
  /** What does not answer must not make the scrape hang. */
  readonly limitMs: number;
  /** Whether a failure is shared as well; otherwise the next scrape reads again. */
  readonly keepsFailure: boolean;
}

/** The value; null where it can't be had. */
function shared<T>(read: () => Promise<T>, { freshMs, limitMs, keepsFailure }: Sharing): () => Promise<T | null> {
  let last: { readonly value: Promise<T | null>; readonly until: number } | null = null;
  return () => {
    if (last && performance.now() < last.until) return last.value;
    const value = within(limitMs, read()).catch(() => {
      if (!keepsFailure) last = null;
      return null;
    });
    last = { value, until: performance.now() + freshMs };
    return value;
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

// PostgreSQL.

interface Definition<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly L[];
  /** Sets the gauge anew; what it does not set is absent. */
  readonly set: (gauge: Gauge<L>, figures: Figures) => void;
}

/** Several APIs say the same: take `max`, not `sum`. A database that does not answer is not asked again at once. */
export function addDatabaseMetrics(registry: Registry, read: () => Promise<Figures>): void {
  const figures = shared(read, { freshMs: 5_000, limitMs: 3_000, keepsFailure: true });
  const add = <L extends string>({ name, help, labelNames = [], set }: Definition<L>): void => {
    new Gauge<L>({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const found = await figures();
        this.reset();
        if (found) set(this, found);
        else if (labelNames.length === 0) this.remove();
      },
    });
  };
  new Gauge({
    name: 'deckhand_database_up',
    help: '1 when PostgreSQL answered the scrape; without it the figures from the database are absent',
    registers: [registry],
    async collect() {
      this.set((await figures()) ? 1 : 0);
    },
  });
  addWorkMetrics(add);
  addFleetMetrics(add);
  addTableMetrics(add);
}

type Add = <L extends string>(definition: Definition<L>) => void;

function addWorkMetrics(add: Add): void {
  add({
    name: 'deckhand_open_rows',
    help: 'Lifecycle rows that have not ended, by operation and status',
    labelNames: ['operation', 'status'],
    set: (gauge, { openRows }) => {
      for (const operation of Object.values(OPERATION))
        for (const status of [STATUS.pending, STATUS.running]) gauge.set({ operation, status }, 0);
      for (const { operation, status, count } of openRows) gauge.set({ operation, status }, count);
    },
  });
  add({
    name: 'deckhand_oldest_open_row_age_seconds',
    help: 'Age of the oldest lifecycle row that has not ended; 0 without one',
    set: (gauge, { oldestOpenRowSeconds }) => gauge.set(oldestOpenRowSeconds),
  });
  add({
    name: 'deckhand_open_tickets',
    help: 'Operations that work or wait in the lanes of all hosts',
    set: (gauge, { openTickets }) => gauge.set(openTickets),
  });
  add({
    name: 'deckhand_outbox_unsent_events',
    help: 'Events that the bus has not taken yet',
    set: (gauge, { unsentEvents }) => gauge.set(unsentEvents),
  });
  add({
    name: 'deckhand_outbox_oldest_unsent_age_seconds',
    help: 'Age of the oldest event that the bus has not taken yet; 0 without one',
    set: (gauge, { oldestUnsentSeconds }) => gauge.set(oldestUnsentSeconds),
  });
}

function addFleetMetrics(add: Add): void {
  add({
    name: 'deckhand_hosts',
    help: 'Enrolled hosts by status',
    labelNames: ['status'],
    set: (gauge, { hosts }) => {
      for (const status of Object.values(HOST_STATUS)) gauge.set({ status }, 0);
      for (const { status, count } of hosts) gauge.set({ status }, count);
    },
  });
  add({
    name: 'deckhand_fleet_deckies',
    help: 'Deckies of the fleet by state',
    labelNames: ['state'],
    set: (gauge, { deckies }) => {
      for (const state of Object.values(DECKY_STATE)) gauge.set({ state }, 0);
      for (const { state, count } of deckies) gauge.set({ state }, count);
    },
  });
  add({
    name: 'deckhand_drift',
    help: 'Differences between what runs and what should, by reason; one for a decky and a reason',
    labelNames: ['reason'],
    set: (gauge, { drift }) => {
      for (const reason of Object.values(DRIFT)) gauge.set({ reason }, 0);
      for (const { reason, count } of drift) gauge.set({ reason }, count);
    },
  });
  add({
    name: 'deckhand_unknown_deckies',
    help: 'Deckies of which nothing is known, since their engine or host gives no answer',
    set: (gauge, { unknownDeckies }) => gauge.set(unknownDeckies),
  });
  add({
    name: 'deckhand_first_host_certificate_end_timestamp_seconds',
    help: 'When the first of the hosts’ certificates ends; absent without hosts',
    set: (gauge, { firstCertificateEnd }) => {
      if (firstCertificateEnd === null) gauge.remove();
      else gauge.set(firstCertificateEnd);
    },
  });
}

function addTableMetrics(add: Add): void {
  add({
    name: 'deckhand_table_rows',
    help: 'Rows of a table, as PostgreSQL’s statistics estimate them',
    labelNames: ['table'],
    set: (gauge, { tables }) => {
      for (const { table, rows } of tables) gauge.set({ table }, rows);
    },
  });
  add({
    name: 'deckhand_table_size_bytes',
    help: 'Size of a table with its indexes',
    labelNames: ['table'],
    set: (gauge, { tables }) => {
      for (const { table, bytes } of tables) gauge.set({ table }, bytes);
    },
  });
}

// What is kept elsewhere.

export interface KeptSizes {
  readonly stream: () => Promise<{ readonly events: number; readonly bytes: number }>;
  readonly closedWorkflows: () => Promise<number>;
}

/** Counting closed workflows costs Temporal a query; these sizes move slowly. */
const KEPT = { freshMs: 60_000, limitMs: 2_000, keepsFailure: false };

export function addKeptMetrics(registry: Registry, { stream, closedWorkflows }: KeptSizes): void {
  const add = (name: string, help: string, read: () => Promise<number | null>): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = await read();
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  };
  const streamed = shared(stream, KEPT);
  add('deckhand_stream_events', 'Events that the stream on NATS keeps', async () => (await streamed())?.events ?? null);
  add('deckhand_stream_size_bytes', 'Size of the stream on NATS', async () => (await streamed())?.bytes ?? null);
  add(
    'deckhand_closed_workflows',
    'Closed workflows that Temporal keeps in the namespace',
    shared(closedWorkflows, KEPT),
  );
}
