/** The agent's way to its master: HTTPS with its own certificate, one connection kept alive. */
import { Agent, request } from 'node:https';
import { SWARMCTL_NAME } from '../../../fleet/agent-wire.ts';
import type { Limits } from './protocol.ts';

export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What an agent grants its master (docs/wire.md#the-agent). */
export const AGENT_LIMITS: Limits = { connectMs: 5_000, answerMs: 10_000 };

/** The status code, or what went wrong: the connection took too long, the answer did, or an error came. */
export type Outcome = number | 'connect' | 'answer' | 'error';

export class Reporter {
  readonly #credentials: Credentials;
  #agent: Agent;
  #url: URL | null = null;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    this.#agent = this.#connections();
  }

  reportTo(url: string): void {
    this.#url = new URL('/swarm/heartbeat', url);
    this.drop();
  }

  drop(): void {
    this.#agent.destroy();
    this.#agent = this.#connections();
  }

  #connections(): Agent {
    // The name is checked against the certificate: no other host may pose as the master.
    return new Agent({ ...this.#credentials, servername: SWARMCTL_NAME, keepAlive: true, maxSockets: 1 });
  }

  /** Never rejects. */
  post(body: string, limits: Limits): Promise<{ readonly outcome: Outcome; readonly retryAfterMs: number | null }> {
    const url = this.#url;
    if (!url) return Promise.resolve({ outcome: 'error', retryAfterMs: null });
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout;
      const end = (outcome: Outcome, retryAfterMs: number | null = null): void => {
        clearTimeout(timer);
        resolve({ outcome, retryAfterMs });
      };
      const limit = (outcome: 'connect' | 'answer', ms: number): NodeJS.Timeout =>
        setTimeout(() => {
          end(outcome);
          sent.destroy();
        }, ms);
      const length = Buffer.byteLength(body);
      const headers = { 'content-type': 'application/json', 'content-length': length };
      const sent = request(url, { method: 'POST', agent: this.#agent, headers }, (answer) => {
        answer.on('error', () => end('error'));
        answer.on('end', () => {
          const seconds = Number(answer.headers['retry-after']);
          end(answer.statusCode ?? 'error', seconds > 0 ? seconds * 1_000 : null);
        });
        answer.resume();
      });
      timer = limit('connect', limits.connectMs);
      sent.once('socket', (socket) => {
        const connected = (): void => {
          clearTimeout(timer);
          timer = limit('answer', limits.answerMs);
        };
        if (socket.connecting) socket.once('secureConnect', connected);
        else connected();
      });
      sent.once('error', () => end('error'));
      sent.end(body);
    });
  }
}
