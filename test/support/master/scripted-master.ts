/**
 * A real HTTP server that answers what a test tells it to, for the command's own behaviour at the edges: lost answers, a
 * master that dies and comes back, tokens that expire. What the true API answers is tested against the true API.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
}

/** `hangUp`: the connection is cut without an answer, after the request was read. */
export type ScriptedAnswer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | 'hangUp';

export type Script = (request: ScriptedRequest) => ScriptedAnswer;

export const PASSWORD = 'correct-horse-battery';

export class ScriptedMaster {
  readonly requests: ScriptedRequest[] = [];
  /** A token holds until this is counted up. */
  tokenGeneration = 1;
  script: Script;
  #server: Server | null = null;
  #port = 0;

  constructor(script: Script) {
    this.script = script;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  get environment(): NodeJS.ProcessEnv {
    return { DECKHAND_API_URL: this.url, DECKHAND_USER: 'admin', DECKHAND_PASSWORD: PASSWORD };
  }
  count(method: string, path: string): number {
    return this.requests.filter((request) => request.method === method && request.path === path).length;
  }

  /** On the port that it had before, if any. */
  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** As a kill -9 would: open connections are cut. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', this.url);
    const raw = await text(incoming);
    const request: ScriptedRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers as Record<string, string | undefined>,
      body: raw === '' ? null : JSON.parse(raw),
    };
    this.requests.push(request);
    const answer = this.#login(request) ?? this.#unauthenticated(request) ?? this.script(request);
    if (answer === 'hangUp') return void incoming.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
  }

  #login({ path, body }: ScriptedRequest): ScriptedAnswer | null {
    if (path !== '/api/v1/auth/login') return null;
    if ((body as { password?: string }).password !== PASSWORD)
      return { status: 401, body: { detail: 'Incorrect username or password' } };
    return { status: 200, body: { access_token: `token-${this.tokenGeneration}`, token_type: 'bearer' } };
  }

  #unauthenticated({ headers }: ScriptedRequest): ScriptedAnswer | null {
    if (headers.authorization === `Bearer token-${this.tokenGeneration}`) return null;
    return { status: 401, body: { detail: 'Could not validate credentials' } };
  }
}
