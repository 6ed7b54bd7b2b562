/** Tells the master what runs, every heartbeat, and what has ended, at once and until it has been acknowledged (gap A6). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentStatus, HeartbeatBody } from '../fleet/agent-wire.ts';
import { growingPause } from '../lib/concurrency.ts';
import type { Logger } from '../lib/logger.ts';
import type { MasterAnswer, MasterClient } from './master-client.ts';
import type { Outgoing } from './state.ts';
import { AGENT_VERSION } from './status.ts';
import type { AgentStore } from './store.ts';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Deltas of one push; the rest goes right behind. An error has 2,000 characters at most. */
const BATCH = 200;
const HEARTBEAT_PATH = '/swarm/heartbeat';
/** Of a 204: the master wants this host to renew its certificate. */
const RENEW_HEADER = 'deckhand-renew';

export interface ReporterOptions {
  readonly hostUuid: string;
  readonly heartbeatMs: number;
  readonly store: AgentStore;
  /** Asked for each time: a renewed certificate makes another client. */
  readonly client: () => MasterClient;
  readonly status: () => Promise<AgentStatus>;
  readonly renew: () => void;
  readonly logger: Logger;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #stopping = new AbortController();
  #wake: () => void = () => {};
  #masterIsBack: () => void = () => {};
  #running: Promise<unknown> | null = null;
  /** The last complaint about the master, so that one that is away is not complained about every second. */
  #complaint: string | null = null;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= Promise.all([this.#heartbeats(), this.#deltas()]);
  }

  /** There are new deltas on disk. */
  readonly wake = (): void => this.#wake();

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #heartbeats(): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      const answer = await this.#send(null);
      // It is there again: what waits for its next try need not wait any longer.
      if (answer && isTaken(answer)) this.#masterIsBack();
      await this.#pause(Math.max(0, this.#options.heartbeatMs - (performance.now() - began)));
    }
  }

  async #deltas(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      const batch = this.#sendable();
      if (batch.length === 0) {
        await this.#untilWoken();
        continue;
      }
      const answer = await this.#send(batch);
      if (answer && isTaken(answer)) {
        failures = 0;
        await this.#acknowledged(batch);
        continue;
      }
      const pause = growingPause(failures, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Math.random());
      failures += 1;
      const retryAfter = retryAfterMs(answer);
      const back = new Promise<void>((resolve) => {
        this.#masterIsBack = resolve;
      });
      await (retryAfter > pause ? this.#pause(retryAfter) : Promise.race([this.#pause(pause), back]));
    }
  }

  #sendable(): readonly Outgoing[] {
    const { state, durableSequence } = this.#options.store;
    return state.outbox.filter(({ sequence }) => sequence <= durableSequence).slice(0, BATCH);
  }

  async #acknowledged(batch: readonly Outgoing[]): Promise<void> {
    const sent = new Set(batch.map(({ sequence }) => sequence));
    await this.#options.store.record((state) => {
      state.outbox = state.outbox.filter(({ sequence }) => !sent.has(sequence));
    });
  }

  /** The master's answer; null when there was none. */
  async #send(batch: readonly Outgoing[] | null): Promise<MasterAnswer | null> {
    const { client, hostUuid, status, logger } = this.#options;
    try {
      const body: HeartbeatBody = {
        host_uuid: hostUuid,
        agent_version: AGENT_VERSION,
        status: await status(),
        ...(batch ? { lifecycle: batch.map(({ delta }) => delta) } : {}),
      };
      const answer = await client().post(HEARTBEAT_PATH, body);
      if (!isTaken(answer)) this.#complain(`The master answers ${answer.status}: ${answer.text.slice(0, 300)}`);
      else if (this.#complaint !== null) {
        this.#complaint = null;
        logger.info('the master takes reports again');
      }
      if (answer.headers[RENEW_HEADER]?.toString().toLowerCase() === 'true') this.#options.renew();
      return answer;
    } catch (error) {
      this.#complain(error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  #complain(text: string): void {
    if (text === this.#complaint) return;
    this.#complaint = text;
    this.#options.logger.warn({ why: text }, 'the master does not take reports; they are kept');
  }

  /** Ends early when the agent stops. */
  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }

  async #untilWoken(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

const LATER: ReadonlySet<number> = new Set([429, 503]);

/** A push counts as taken by 200 too, as DECNET's agent has it. */
const isTaken = ({ status }: MasterAnswer): boolean => status === 204 || status === 200;

/** Of a 503 or 429, in seconds or as a date; never longer than an hour. */
function retryAfterMs(answer: MasterAnswer | null): number {
  const text = answer?.headers['retry-after'];
  if (!answer || !LATER.has(answer.status) || text === undefined) return 0;
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(milliseconds) ? 0 : Math.max(0, Math.min(milliseconds, 3_600_000));
}
