/**
 * One HTTP exchange with an agent on a connection of its pool, with a limit for each of its phases.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Agent } from 'node:https';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { type AgentAddress, placeOf } from './connect.ts';

/** The whole order must be off our hands within this time. */
export const WRITE_LIMIT_MS = 5_000;
/** So long for the head of the answer, and again for its body. */
export const READ_LIMIT_MS = 15_000;
export const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;

export interface Order {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  /** Besides those of every order. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly readLimitMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly clockOffsetMs: number | null;
}

/** Rejects with the error of the connection, HostSilent, or the signal's reason. */
export async function exchange(agent: Agent, host: AgentAddress, order: Order): Promise<RawAnswer> {
  try {
    return await once(agent, host, order);
  } catch (error) {
    // An idle connection that the agent closed as we took it up: what changes nothing is asked
    // again, on another.
    if (error instanceof StaleConnection) {
      if (order.method === 'GET') return await once(agent, host, order);
      throw silent(host, order, 'the connection was closed before an answer came');
    }
    throw error;
  }
}

class StaleConnection extends Error {}

function once(agent: Agent, host: AgentAddress, order: Order): Promise<RawAnswer> {
  const { readLimitMs = READ_LIMIT_MS, signal } = order;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const payload = order.body === undefined ? null : Buffer.from(JSON.stringify(order.body));
    const request = httpRequest({
      agent,
      protocol: 'https:',
      hostname: host.address,
      port: host.port,
      method: order.method,
      path: order.path,
      headers: {
        ...order.headers,
        accept: 'application/json',
        ...(payload ? { 'content-type': 'application/json', 'content-length': payload.length } : {}),
      },
    });
    let limit: NodeJS.Timeout | undefined;
    let settled = false;
    const settle = (end: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      signal?.removeEventListener('abort', abort);
      end();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        reject(error);
        request.destroy();
      });
    const abort = (): void => fail(signal?.reason);
    const within = (milliseconds: number, what: string): void => {
      clearTimeout(limit);
      limit = setTimeout(() => fail(silent(host, order, `${what} within ${milliseconds / 1000} s`)), milliseconds);
    };
    signal?.addEventListener('abort', abort, { once: true });
    request.once('error', (error) => fail(judge(error, request, host, order)));
    request.once('socket', () => within(WRITE_LIMIT_MS, 'the order could not be written'));
    request.once('finish', () => within(readLimitMs, 'there was no answer'));
    request.once('response', (response) => {
      within(readLimitMs, 'the answer did not end');
      const clockOffsetMs = clockOffset(response);
      readText(response).then(
        (text) => settle(() => resolve({ status: response.statusCode ?? 0, text, clockOffsetMs })),
        (error: Error) => fail(silent(host, order, brokenOff(error), error)),
      );
    });
    request.end(payload ?? undefined);
  });
}

/** An error before any byte of an answer. */
function judge(error: Error, request: ClientRequest, host: AgentAddress, order: Order): Error {
  if (isDeckhandError(error)) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  // TLS 1.3: the agent judges our certificate after our side of the handshake, so that its refusal
  // comes here. It has read nothing.
  if (code.startsWith('ERR_SSL_'))
    return new DeckhandError(
      'HostUnreachable',
      `The agent of ${placeOf(host)} does not take the master’s certificate: ${error.message}. Was it enrolled with another master?`,
      { cause: error },
    );
  if (request.reusedSocket) return new StaleConnection(error.message, { cause: error });
  return silent(host, order, `the connection broke off before an answer came (${error.message})`, error);
}

/** Node calls a connection that ends within an answer just "aborted". */
const brokenOff = (error: Error): string =>
  (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? BROKEN_OFF : error.message;
const BROKEN_OFF = 'the connection broke off in the middle of the answer';

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_LIMIT_BYTES) throw new Error(`its answer is larger than ${ANSWER_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error(BROKEN_OFF);
  return Buffer.concat(chunks).toString('utf8');
}

/** The Date header is cut to whole seconds: half a second is what it lacks on average. */
function clockOffset(response: IncomingMessage): number | null {
  const theirs = Date.parse(response.headers.date ?? '');
  return Number.isNaN(theirs) ? null : theirs + 500 - Date.now();
}

export const silent = (host: AgentAddress, order: Order, why: string, cause?: Error): DeckhandError =>
  new DeckhandError(
    'HostSilent',
    `The agent of ${placeOf(host)} did not answer ${order.method} ${order.path} as it should: ${why}.`,
    { cause },
  );
