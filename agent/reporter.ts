/**
 * What the agent reports to the master.
 *
 * 1. The status: DECNET's (docs/wire.md#status), as observed on the engine, and our report beside it.
 * 2. The reporter: sends the status with every heartbeat, and outcomes at once and until the master has acknowledged them
 *    (gap A6).
 */

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeckyObservation } from '../engine/engine.ts';
import { specOf } from '../engine/rollout.ts';
import type { AgentDecky, AgentReport, AgentStatus, HeartbeatBody } from '../fleet/agent-wire.ts';
import type { DeckySpec } from '../fleet/compose.ts';
import type { DeckyConfig, DesiredDecky } from '../fleet/config.ts';
import { DECKY_STATE, type DeckyState, OPERATION, type Operation, type Status } from '../fleet/lifecycle.ts';
import { serviceKey } from '../fleet/names.ts';
import { growingPause } from '../lib/concurrency.ts';
import type { Logger } from '../lib/logger.ts';
import packageJson from '../package.json' with { type: 'json' };
import { type AgentContext, WHOLE_ENGINE } from './context.ts';
import type { MasterAnswer, MasterClient } from './master-client.ts';
import {
  type AgentState,
  type AgentStore,
  type DeckyRecord,
  hasEndedIn,
  knownRecord,
  type OrderRecord,
  type Outgoing,
} from './state.ts';

const AGENT_VERSION: string = packageJson.version;

/** An engine that hangs must not make the agent look dead: the master waits 15 s for a status. */
const OBSERVE_LIMIT_MS = 5_000;

/** What the engine says of one decky. */
interface Observed {
  readonly observation: DeckyObservation;
  readonly spec: DeckySpec;
}

/** By name; null where the engine does not answer. */
type Observations = ReadonlyMap<string, Observed> | null;

interface EngineObservation {
  readonly observed: Observations;
  /** Deckies that have containers; null where the engine does not answer. */
  readonly there: readonly string[] | null;
}

interface StatusSource {
  readonly context: AgentContext;
  readonly working: () => OrderRecord | null;
}

export async function agentStatus({ context, working }: StatusSource): Promise<AgentStatus> {
  const { state } = context.store;
  const present = Object.entries(state.deckies).flatMap(([name, { desired }]) => (desired ? [{ name, desired }] : []));
  const { observed, there } = await observe(context, present);
  const deckhand = { ...report(context, working(), observed), ...orphansOf(state, there) };
  if (present.length === 0) return { deployed: false, deckies: [], deckhand };
  return {
    deployed: true,
    mode: state.mode,
    compose_path: context.composePath,
    deckies: present.map(({ desired }) => desired.config),
    runtime: Object.fromEntries(
      present.flatMap(({ name, desired }) => (observed ? [[name, runtimeOf(desired.config, observed.get(name))]] : [])),
    ),
    deckhand,
  };
}

async function observe(
  context: AgentContext,
  present: readonly { name: string; desired: DesiredDecky }[],
): Promise<EngineObservation> {
  const specs = present.flatMap(({ desired }) => describable(context, desired));
  try {
    const limit = AbortSignal.timeout(OBSERVE_LIMIT_MS);
    // Both from one listing.
    const { engine } = context.local;
    // An order that is open brings up what it names by itself, so nothing is started again meanwhile.
    const idle = context.store.state.orders.length === 0;
    const observing = idle ? engine.observeAndMend(specs, limit) : engine.observe(specs, limit);
    const [seen, there] = await Promise.all([observing, engine.deckies(limit)]);
    const observed = new Map(
      seen.flatMap((observation, at) => {
        const spec = specs[at];
        return spec ? [[observation.decky, { observation, spec }] as const] : [];
      }),
    );
    return { observed, there };
  } catch (error) {
    context.logger.warn({ err: error }, 'the engine does not say what runs');
    return { observed: null, there: null };
  }
}

/** While an order is open, nothing counts as an orphan: the state is expected to be in flux. */
function orphansOf(state: AgentState, there: EngineObservation['there']): Pick<AgentReport, 'orphans'> {
  if (there === null || state.orders.length > 0) return {};
  const known = (name: string): boolean => Boolean(knownRecord(state, name)?.desired);
  return { orphans: there.filter((name) => !known(name)) };
}

function describable(context: AgentContext, decky: DesiredDecky): DeckySpec[] {
  try {
    return [specOf(context.local, decky)];
  } catch {
    return [];
  }
}

/** Without a running base the services have no address: it counts, although DECNET looks at services only. */
function runtimeOf(config: DeckyConfig, one: Observed | undefined) {
  const states = new Map(one?.observation.containers.map(({ service, state }) => [service, state]));
  const services = config.services.map(
    (name) => [name, states.get(serviceKey(config.name, name)) ?? 'absent'] as const,
  );
  const running = states.get(config.name) === 'running' && services.every(([, state]) => state === 'running');
  return { running, services: Object.fromEntries(services) };
}

function report(context: AgentContext, working: OrderRecord | null, observed: Observations): AgentReport {
  const { state } = context.store;
  const ended = Object.entries(state.deckies).map(
    ([name, record]) => [name, describe(name, record, observed)] as const,
  );
  // The first of several orders is the one that is worked on: it is described last, and stays.
  const open = [...state.orders]
    .reverse()
    .flatMap((order) => openDeckies(context, state, order, order === working, observed));
  return {
    version: AGENT_VERSION,
    network: state.network,
    work: state.orders.map((order) => ({
      operation_id: order.operation_id,
      attempt: order.attempt,
      kind: order.kind,
      state: order === working ? 'working' : 'queued',
    })),
    deckies: Object.fromEntries([...ended, ...open]),
    ...(state.ticket === undefined ? {} : { ticket: state.ticket }),
    unreported: state.outbox.length,
  };
}

function describe(name: string, record: DeckyRecord, observed: Observations): AgentDecky {
  const { last } = record;
  return {
    operation_id: last?.operation_id ?? '',
    attempt: last?.attempt ?? 0,
    operation: last?.operation ?? OPERATION.deploy,
    status: last?.status ?? 'succeeded',
    error: last?.error ?? null,
    step: null,
    ...seenOf(name, record, observed),
    ...driftOf(observed?.get(name)),
  };
}

const driftOf = (one: Observed | undefined): Pick<AgentDecky, 'drift'> =>
  one ? { drift: one.observation.drift.map(({ reason, container }) => ({ reason, container })) } : {};

function seenOf(
  name: string,
  { desired, last }: DeckyRecord,
  observed: Observations,
): { seen: DeckyState; config_hash: string | null } {
  const known = last?.seen ?? DECKY_STATE.pending;
  if (!desired || !observed) return { seen: known, config_hash: null };
  const one = observed.get(name);
  if (!one || one.observation.containers.length === 0) return { seen: DECKY_STATE.failed, config_hash: null };
  if (!one.observation.asSpecified) return { seen: DECKY_STATE.degraded, config_hash: null };
  if (desired.stopped) return { seen: DECKY_STATE.stopped, config_hash: null };
  return { seen: DECKY_STATE.running, config_hash: hashOf(one.spec) };
}

const hashOf = (spec: DeckySpec): string => createHash('sha256').update(JSON.stringify(spec)).digest('hex');

/** Deckies that an order is about and that have not ended in it. */
function openDeckies(
  context: AgentContext,
  state: AgentState,
  order: OrderRecord,
  isWorking: boolean,
  observed: Observations,
): (readonly [string, AgentDecky])[] {
  return subjects(order)
    .filter(([name]) => !hasEndedIn(state, order, name))
    .map(([name, operation]) => {
      const record = knownRecord(state, name) ?? { desired: null, established: null, last: null };
      const step = isWorking ? (context.steps.get(name) ?? context.steps.get(WHOLE_ENGINE) ?? null) : null;
      const status: Status = isWorking && context.steps.has(name) ? 'running' : 'pending';
      const { operation_id, attempt } = order;
      return [name, { operation_id, attempt, operation, status, error: null, step, ...seenOf(name, record, observed) }];
    });
}

function subjects(order: OrderRecord): (readonly [string, Operation])[] {
  if (order.kind === 'mutate') return [[order.decky_id, OPERATION.mutate]];
  if (order.kind === 'teardown') return order.decky_id === null ? [] : [[order.decky_id, OPERATION.teardown]];
  return [
    ...order.deploy.map((name) => [name, OPERATION.deploy] as const),
    ...order.remove.map((name) => [name, OPERATION.teardown] as const),
  ];
}

// 2. The reporter

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Deltas of one push; the rest goes right behind. An error has 2,000 characters at most. */
const BATCH = 200;
const HEARTBEAT_PATH = '/swarm/heartbeat';
/** Of a 204: the master wants this host to renew its certificate. */
const RENEW_HEADER = 'deckhand-renew';

interface ReporterOptions {
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
