/** What a master tells of what happened: its events as they come, and its audit. */
import type { components, operations } from './api.d.ts';
import type { ApiClient } from './api-client.ts';
import type { Connection } from './connection.ts';
import { openRequest } from './http.ts';

export interface FeedEvent {
  readonly id: string;
  /** `lifecycle`, `mutation`, `gap` or `end`. */
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export type AuditEntry = components['schemas']['AuditEntry'];
type AuditPage = operations['get_audit']['responses'][200]['content']['application/json'];
type AuditQuery = NonNullable<operations['get_audit']['parameters']['query']>;
type EventFilter = Readonly<Record<string, string>>;

export interface Feed {
  /** Until the connection ends; throws ApiUnreachable, ApiRefusal. `after`: the id of the last one seen. */
  events(filter: EventFilter, after: string | null, signal: AbortSignal): AsyncGenerator<FeedEvent>;
  audit(query: AuditQuery): Promise<AuditPage>;
}

export function feedOf(client: ApiClient, connect: () => Connection): Feed {
  return {
    async *events(filter, after, signal) {
      // A ticket stands for the token: it is made with whatever credentials the other commands use.
      const { body } = await client.call((api) => api.POST('/api/v1/auth/sse-ticket'));
      const { apiUrl, ca } = connect();
      const url = new URL(`${apiUrl}/api/v1/events`);
      const query = { ...filter, ticket: body.ticket, ...(after === null ? {} : { last_event_id: after }) };
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
      const headers = { accept: 'text/event-stream' };
      const response = await openRequest(url, { method: 'GET', headers, signal, ca });
      if (response.statusCode !== 200) throw new Error(`/events was answered with ${response.statusCode}`);
      yield* eventsOf(response.setEncoding('utf8'));
    },
    audit: async (query) => (await client.call((api) => api.GET('/api/v1/audit', { params: { query } }))).body,
  };
}

async function* eventsOf(body: AsyncIterable<string>): AsyncGenerator<FeedEvent> {
  let rest = '';
  for await (const chunk of body) {
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
