/** What a master tells of what happened: its events as they come, and its audit. */
import type { ApiClient } from './api-client.ts';
import type { Connection } from './connection.ts';

export interface FeedEvent {
  readonly id: string;
  /** `lifecycle`, `mutation`, `gap` or `end`. */
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly listener: string;
  readonly username: string | null;
  readonly peer: string | null;
  readonly method: string;
  readonly path: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly status: number | null;
  readonly error_code: string | null;
}

interface AuditPage {
  readonly entries: readonly AuditEntry[];
  readonly next_cursor: string | null;
}

type EventFilter = Readonly<Record<string, string>>;

export interface Feed {
  /** Until the connection ends; throws ApiUnreachable, ApiRefusal. `after`: the id of the last one seen. */
  events(filter: EventFilter, after: string | null, signal: AbortSignal): AsyncGenerator<FeedEvent>;
  audit(query: Readonly<Record<string, string>>): Promise<AuditPage>;
}

export function feedOf(client: ApiClient, connect: () => Connection): Feed {
  return {
    async *events(filter, after, signal) {
      // A ticket stands for the token: it is made with whatever credentials the other commands use.
      const { body } = await client.request<{ ticket: string }>('POST', '/api/v1/auth/sse-ticket');
      const { apiUrl, fetch = globalThis.fetch } = connect();
      const url = new URL(`${apiUrl}/api/v1/events`);
      const query = { ...filter, ticket: body.ticket, ...(after === null ? {} : { last_event_id: after }) };
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
      const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal });
      if (response.status !== 200 || !response.body) throw new Error(`/events was answered with ${response.status}`);
      yield* eventsOf(response.body);
    },
    audit: async (query) => (await client.request<AuditPage>('GET', '/api/v1/audit', { query })).body,
  };
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<FeedEvent> {
  let rest = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event) yield event;
    }
  }
}

/** A block of a server-sent stream; one without data only tells an id. null: nothing to tell. */
export function parseBlock(block: string): FeedEvent | null {
  const fields: Record<string, string> = {};
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, '');
  }
  if (fields.data === undefined) return fields.id === undefined ? null : { id: fields.id, event: 'position', data: {} };
  return { id: fields.id ?? '', event: fields.event ?? 'message', data: JSON.parse(fields.data) };
}
