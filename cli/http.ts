/**
 * Requests by Node's `http`. Node's `fetch` compiles a parser of WebAssembly when it is first used. That costs a fifth of
 * a second of processor time, more than everything else that a short command does.
 */
import type { IncomingMessage } from 'node:http';

export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** Authorities to trust besides Node's own, in PEM. */
  readonly ca?: string | undefined;
}

/** Resolves when the head of the answer is there; its body is still to be read. */
export async function openRequest(url: URL, { body, ca, ...options }: HttpRequest): Promise<IncomingMessage> {
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const trust = ca === undefined ? {} : { ca: [...(await import('node:tls')).rootCertificates, ca] };
  return new Promise((resolve, reject) => {
    const asked = request(url, { ...options, ...trust }, resolve);
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Statuses that come without a body. */
const EMPTY = new Set([204, 205, 304]);

/** The whole answer. Throws where the connection ends before the body does. */
export async function requestAll(url: URL, request: HttpRequest): Promise<Response> {
  const answer = await openRequest(url, request);
  answer.setEncoding('utf8');
  let text = '';
  for await (const part of answer) text += part;
  const status = answer.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) headers.set(name, String(value));
  return new Response(EMPTY.has(status) ? null : text, { status, headers });
}
