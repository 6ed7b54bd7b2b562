/** One simulated agent: a TLS server that speaks the agent's wire (docs/wire.md#the-agent) with fences, and its reports. No containers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import {
  type AgentDeployBody,
  type AgentTeardownBody,
  type Delta,
  type Fence,
  type HeartbeatBody,
  MASTER_NAME,
} from '../../../fleet/agent-wire.ts';
import { Deckies } from './deckies.ts';
import type { AgentSetup, Limits, Mode } from './protocol.ts';
import { AGENT_LIMITS, type Credentials, type Outcome, Reporter } from './reporter.ts';

export interface Pace {
  readonly answerMs: number;
  readonly workMs: number;
}

/** Between two tries of a report: grows from the first to the last. */
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 10_000;
const MAX_BODY = 4 * 2 ** 20;

type Answer = readonly [status: number, body: object];

export class SimulatedAgent {
  readonly hostUuid: string;
  readonly reporter: Reporter;
  readonly deckies = new Deckies();
  orders = 0;
  readonly #name: string;
  readonly #mode: Mode;
  readonly #pace: Pace;
  readonly #note: (outcome: Outcome) => void;
  readonly #server: Server;
  #last: Fence | null = null;
  #held: Delta[] = [];
  #stopped = false;

  /** `note` is told how each report ended. */
  constructor(setup: AgentSetup, credentials: Credentials, pace: Pace, note: (outcome: Outcome) => void) {
    this.hostUuid = setup.hostUuid;
    this.#name = setup.name;
    this.#mode = setup.mode ?? 'ready';
    this.#pace = pace;
    this.#note = note;
    this.reporter = new Reporter(credentials);
    const tls = { ...credentials, minVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: true } as const;
    this.#server = createServer(tls, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  get name(): string {
    return this.#name;
  }

  /** Returns the port; 0 for a dead one. */
  async listen(): Promise<number> {
    if (this.#mode === 'dead') return 0;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#stopped = true;
    this.drop();
    this.#server.close();
  }

  drop(): void {
    this.#server.closeAllConnections();
    this.reporter.drop();
  }

  heartbeat(lifecycle?: readonly Delta[]): string {
    const body: HeartbeatBody = {
      host_uuid: this.hostUuid,
      agent_version: 'simulated',
      status: this.deckies.status(),
      topology: null,
      ...(lifecycle ? { lifecycle } : {}),
    };
    return JSON.stringify(body);
  }

  async beat(limits: Limits = AGENT_LIMITS): Promise<Outcome> {
    return (await this.reporter.post(this.heartbeat(), limits)).outcome;
  }

  /** One try for what was held back; null when there is nothing. */
  async push(limits: Limits): Promise<Outcome | null> {
    const deltas = this.#held.splice(0);
    if (deltas.length === 0) return null;
    const { outcome } = await this.reporter.post(this.heartbeat(deltas), limits);
    this.deckies.unreported = 0;
    return outcome;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [status, body] = isMaster(request)
      ? await this.#answer(`${request.method} ${request.url}`, await textOf(request))
      : ([403, { detail: 'not the master' }] as const);
    const text = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }

  async #answer(route: string, text: string): Promise<Answer> {
    switch (route) {
      case 'GET /health':
        return [200, { status: 'ok' }];
      case 'GET /status':
        return [200, this.deckies.status()];
      case 'POST /deploy':
        return this.#deploy(JSON.parse(text) as AgentDeployBody);
      case 'POST /teardown':
        this.deckies.clear();
        return [200, { status: 'torn_down', decky_id: (JSON.parse(text) as AgentTeardownBody).decky_id }];
      default:
        return [404, { detail: 'Not Found' }];
    }
  }

  async #deploy(body: AgentDeployBody): Promise<Answer> {
    const order = body.deckhand;
    const same = order !== undefined && order.operation_id === this.#last?.operation_id;
    if (same && order.attempt < (this.#last?.attempt ?? 0)) return [409, { detail: 'an earlier attempt' }];
    // Works once, however often the order is repeated.
    if (!same || order.attempt !== this.#last?.attempt) {
      this.#last = order ?? null;
      this.orders += 1;
      this.deckies.take(body);
      if (this.#mode !== 'silent') void this.#work(body);
    }
    if (this.#pace.answerMs > 0) await sleep(this.#pace.answerMs);
    return [202, { status: 'accepted', deckies: body.config.deckies.map(({ name }) => name) }];
  }

  async #work({ deckhand }: AgentDeployBody): Promise<void> {
    await sleep(this.#pace.answerMs + this.#pace.workMs);
    if (this.#stopped || this.#last !== (deckhand ?? null)) return;
    const deltas = this.deckies.done();
    if (this.#mode === 'lost-delta') return;
    this.deckies.unreported = deltas.length;
    if (this.#mode === 'hold') this.#held = deltas;
    else await this.#report(deltas);
  }

  /** Until the master has acknowledged it. */
  async #report(deltas: readonly Delta[]): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; !this.#stopped; pause = Math.min(pause * 2, LAST_PAUSE_MS)) {
      const { outcome, retryAfterMs } = await this.reporter.post(this.heartbeat(deltas), AGENT_LIMITS);
      this.#note(outcome);
      if (outcome === 204) {
        this.deckies.unreported = 0;
        return;
      }
      await sleep(Math.max(retryAfterMs ?? 0, pause * (0.75 + Math.random() / 2)), undefined, { ref: false });
    }
  }
}

/** Chain and key were checked by TLS; hosts have certificates of the same CA. */
function isMaster(request: IncomingMessage): boolean {
  const { subject } = (request.socket as TLSSocket).getPeerCertificate();
  return subject?.CN === MASTER_NAME;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error('too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
