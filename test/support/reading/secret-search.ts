/** Where a secret could have gone: everything that a fleet leaves behind, as text, and which of it shows one. */
import type { Client } from '@temporalio/client';
import { createEventLog } from '../../../adapters/nats/event-log.ts';
import type { Sql } from '../../../adapters/postgres/connect.ts';

/** A name for the report of what was found, and its text. */
export type Sink = readonly [name: string, text: string];

/** As it is, and as it could stand in JSON, a URL or base64. */
function formsOf(secret: string): string[] {
  const forms = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    Buffer.from(secret).toString('hex'),
  ];
  return [...new Set(forms)];
}

/** `sink: mark` for each that shows one. Secrets are named by what they are, so that no report repeats one. */
export function found(sinks: readonly Sink[], secrets: Readonly<Record<string, string>>): string[] {
  return sinks.flatMap(([name, text]) =>
    Object.entries(secrets).flatMap(([what, secret]) =>
      formsOf(secret).some((form) => text.includes(form)) ? [`${name}: ${what}`] : [],
    ),
  );
}

/** A sink for each column of each table of the schema. */
export async function rowsOf(sql: Sql, schema: string): Promise<Sink[]> {
  const columns = await sql<{ table_name: string; column_name: string }[]>`
    select table_name, column_name from information_schema.columns where table_schema = ${schema} order by 1, 2`;
  return Promise.all(
    columns.map(async ({ table_name: table, column_name: column }) => {
      const rows = await sql<{ text: string | null }[]>`
        select ${sql(column)}::text as text from ${sql(schema)}.${sql(table)}`;
      return [`${table}.${column}`, rows.map(({ text }) => text ?? '').join('\n')] as const;
    }),
  );
}

const readable = (value: unknown): string =>
  JSON.stringify(value, (_key, part) => {
    if (part instanceof Uint8Array) return Buffer.from(part).toString('utf8');
    if (part?.type === 'Buffer') return Buffer.from(part.data).toString('utf8');
    return typeof part === 'bigint' ? String(part) : part;
  });

/** History, memo, search attributes, summary and details of each workflow of the task queue, payloads decoded. */
export async function workflowsOf(client: Client, taskQueue: string): Promise<Sink[]> {
  const sinks: Sink[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: `TaskQueue = "${taskQueue}"` })) {
    const handle = client.workflow.getHandle(workflowId, runId);
    const [history, description] = await Promise.all([handle.fetchHistory(), handle.describe()]);
    sinks.push([`workflow ${workflowId}`, readable(history) + readable(description.raw)]);
  }
  return sinks;
}

/** The whole stream of events, also of other tests. */
export async function eventsOf(natsUrl: string): Promise<Sink> {
  const log = createEventLog(natsUrl, 'secret-search');
  try {
    const { first, last } = await log.bounds();
    const texts: string[] = [];
    for await (const event of log.between(first - 1, last)) texts.push(readable(event));
    return ['the stream of events', texts.join('\n')];
  } finally {
    await log.close();
  }
}
