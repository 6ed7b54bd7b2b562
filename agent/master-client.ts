/** HTTP to the master and to nobody else: a server of our CA whose certificate has the CN `swarmctl`. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { SWARMCTL_NAME } from '../fleet/agent-wire.ts';
import { type AgentIdentity, peerOf } from './identity.ts';

const CONNECT_LIMIT_MS = 5_000;
const WRITE_LIMIT_MS = 5_000;
const READ_LIMIT_MS = 10_000;
const ANSWER_LIMIT_BYTES = 256 * 1024;

export interface MasterAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface MasterClient {
  /** Rejects when no whole answer came; whether the master took the body is unknown then. */
  post(path: string, body: unknown): Promise<MasterAnswer>;
  close(): void;
}

/** What connections to the master are made with; `cert` and `key` are missing before this host has joined. */
interface MasterTrust {
  readonly url: string;
  readonly caPem: string;
  readonly certPem?: string;
  readonly keyPem?: string;
}

export const trustOf = ({ facts, caPem, certPem, keyPem }: AgentIdentity): MasterTrust => ({
  url: facts.master_url,
  caPem,
  certPem,
  keyPem,
});

export function createMasterClient(trust: MasterTrust): MasterClient {
  const agent = new CheckedAgent(trust);
  return {
    post: async (path, body) => {
      const url = new URL(path, trust.url);
      try {
        return await exchange(agent, url, body);
      } catch (error) {
        // The master closed an idle connection as we took it up. All that is posted there may be posted twice.
        if (error instanceof StaleConnection) return await exchange(agent, url, body);
        throw error;
      }
    },
    close: () => agent.destroy(),
  };
}

/** Hands a connection out only once the server has shown who it is: another is sent nothing. */
class CheckedAgent extends Agent {
  readonly #url: URL;
  readonly #context: SecureContext;

  constructor({ url, caPem, certPem, keyPem }: MasterTrust) {
    super({ keepAlive: true, maxSockets: 4, maxFreeSockets: 2, maxCachedSessions: 0 });
    this.#url = new URL(url);
    this.#context = createSecureContext({ ca: caPem, cert: certPem, key: keyPem, minVersion: 'TLSv1.2' });
  }

  override createConnection(_: unknown, done?: (error: Error | null, socket: Duplex) => void): undefined {
    connectToMaster(this.#url, this.#context).then(
      (socket) => done?.(null, socket),
      // Node ignores the second argument where there is an error.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    );
  }
}

function connectToMaster(url: URL, secureContext: SecureContext): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ...(isIP(host) ? {} : { servername: host }),
      secureContext,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      // Which name the server must have is judged below.
      checkServerIdentity: () => undefined,
    });
    const giveUp = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(`The master at ${url.host} can’t be reached: ${why}.`));
    };
    const timer = setTimeout(() => giveUp(`no connection within ${CONNECT_LIMIT_MS / 1_000} s`), CONNECT_LIMIT_MS);
    const failed = (error: Error): void => giveUp(error.message);
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      const { name } = peerOf(socket);
      if (name !== SWARMCTL_NAME)
        return giveUp(
          `what answers there is ${name ?? 'nobody we know'}, not ${SWARMCTL_NAME}. Nothing was sent to it`,
        );
      clearTimeout(timer);
      socket.off('error', failed);
      resolve(socket);
    });
    socket.on('error', () => {});
  });
}

class StaleConnection extends Error {}

function exchange(agent: Agent, url: URL, body: unknown): Promise<MasterAnswer> {
  return new Promise((resolve, reject) => {
    const payload = Buffer.from(JSON.stringify(body));
    const headers = { 'content-type': 'application/json', 'content-length': payload.length };
    const request = httpRequest(url, { agent, method: 'POST', headers });
    let limit: NodeJS.Timeout | undefined;
    const fail = (error: Error): void => {
      clearTimeout(limit);
      reject(error);
      request.destroy();
    };
    const within = (milliseconds: number, what: string): void => {
      clearTimeout(limit);
      limit = setTimeout(
        () => fail(new Error(`The master at ${url.host}: ${what} within ${milliseconds / 1_000} s.`)),
        milliseconds,
      );
    };
    request.once('error', (error) => fail(request.reusedSocket ? new StaleConnection(error.message) : error));
    request.once('socket', () => within(WRITE_LIMIT_MS, 'the body could not be written'));
    request.once('finish', () => within(READ_LIMIT_MS, 'there was no answer'));
    request.once('response', (response) => {
      within(READ_LIMIT_MS, 'the answer did not end');
      readText(response).then((text) => {
        clearTimeout(limit);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      }, fail);
    });
    request.end(payload);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_LIMIT_BYTES) throw new Error('The master’s answer is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
