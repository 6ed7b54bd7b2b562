/** What the agent says of itself: DECNET's status (docs/wire.md#status), looked up on the engine, and our report beside it. */

import { createHash } from 'node:crypto';
import type { DeckyObservation } from '../engine/engine.ts';
import { specOf } from '../engine/rollout.ts';
import type { AgentDecky, AgentReport, AgentStatus } from '../fleet/agent-wire.ts';
import type { DeckySpec } from '../fleet/compose.ts';
import type { DeckyConfig, DesiredDecky } from '../fleet/config.ts';
import { DECKY_STATE, type DeckyState, OPERATION, type Operation, type Status } from '../fleet/lifecycle.ts';
import { serviceKey } from '../fleet/names.ts';
import packageJson from '../package.json' with { type: 'json' };
import { type AgentContext, WHOLE_ENGINE } from './context.ts';
import { type AgentState, type DeckyRecord, hasEndedIn, knownRecord, type OrderRecord } from './state.ts';

export const AGENT_VERSION: string = packageJson.version;

/** An engine that hangs must not make the agent look dead: the master waits 15 s for a status. */
const LOOK_LIMIT_MS = 5_000;

/** What the engine says of one decky. */
interface Sight {
  readonly observation: DeckyObservation;
  readonly spec: DeckySpec;
}

/** By name; null where the engine does not answer. */
type Sights = ReadonlyMap<string, Sight> | null;

interface Look {
  readonly sights: Sights;
  /** Deckies that have containers; null where the engine does not answer. */
  readonly there: readonly string[] | null;
}

export interface StatusSource {
  readonly context: AgentContext;
  readonly working: () => OrderRecord | null;
}

export async function agentStatus({ context, working }: StatusSource): Promise<AgentStatus> {
  const { state } = context.store;
  const present = Object.entries(state.deckies).flatMap(([name, { desired }]) => (desired ? [{ name, desired }] : []));
  const { sights, there } = await look(context, present);
  const deckhand = { ...report(context, working(), sights), ...orphansOf(state, there) };
  if (present.length === 0) return { deployed: false, deckies: [], deckhand };
  return {
    deployed: true,
    mode: state.mode,
    compose_path: context.composePath,
    deckies: present.map(({ desired }) => desired.config),
    runtime: Object.fromEntries(
      present.flatMap(({ name, desired }) => (sights ? [[name, runtimeOf(desired.config, sights.get(name))]] : [])),
    ),
    deckhand,
  };
}

async function look(context: AgentContext, present: readonly { name: string; desired: DesiredDecky }[]): Promise<Look> {
  const specs = present.flatMap(({ desired }) => describable(context, desired));
  try {
    const limit = AbortSignal.timeout(LOOK_LIMIT_MS);
    // Both from one listing.
    const { engine } = context.local;
    // An order that is open brings up what it names by itself.
    const idle = context.store.state.orders.length === 0;
    const observed = idle ? engine.look(specs, limit) : engine.observe(specs, limit);
    const [seen, there] = await Promise.all([observed, engine.deckies(limit)]);
    const sights = new Map(
      seen.flatMap((observation, at) => {
        const spec = specs[at];
        return spec ? [[observation.decky, { observation, spec }] as const] : [];
      }),
    );
    return { sights, there };
  } catch (error) {
    context.logger.warn({ err: error }, 'the engine does not say what runs');
    return { sights: null, there: null };
  }
}

/** While an order is open, what is there passes. */
function orphansOf(state: AgentState, there: Look['there']): Pick<AgentReport, 'orphans'> {
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
function runtimeOf(config: DeckyConfig, sight: Sight | undefined) {
  const states = new Map(sight?.observation.containers.map(({ service, state }) => [service, state]));
  const services = config.services.map(
    (name) => [name, states.get(serviceKey(config.name, name)) ?? 'absent'] as const,
  );
  const running = states.get(config.name) === 'running' && services.every(([, state]) => state === 'running');
  return { running, services: Object.fromEntries(services) };
}

function report(context: AgentContext, working: OrderRecord | null, sights: Sights): AgentReport {
  const { state } = context.store;
  const ended = Object.entries(state.deckies).map(([name, record]) => [name, describe(name, record, sights)] as const);
  // The first of several orders is the one that is worked on: it is described last, and stays.
  const open = [...state.orders]
    .reverse()
    .flatMap((order) => openDeckies(context, state, order, order === working, sights));
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

function describe(name: string, record: DeckyRecord, sights: Sights): AgentDecky {
  const { last } = record;
  return {
    operation_id: last?.operation_id ?? '',
    attempt: last?.attempt ?? 0,
    operation: last?.operation ?? OPERATION.deploy,
    status: last?.status ?? 'succeeded',
    error: last?.error ?? null,
    step: null,
    ...seenOf(name, record, sights),
    ...driftOf(sights?.get(name)),
  };
}

const driftOf = (sight: Sight | undefined): Pick<AgentDecky, 'drift'> =>
  sight ? { drift: sight.observation.drift.map(({ reason, container }) => ({ reason, container })) } : {};

function seenOf(
  name: string,
  { desired, last }: DeckyRecord,
  sights: Sights,
): { seen: DeckyState; config_hash: string | null } {
  const known = last?.seen ?? DECKY_STATE.pending;
  if (!desired || !sights) return { seen: known, config_hash: null };
  const sight = sights.get(name);
  if (!sight || sight.observation.containers.length === 0) return { seen: DECKY_STATE.failed, config_hash: null };
  if (!sight.observation.asSpecified) return { seen: DECKY_STATE.degraded, config_hash: null };
  if (desired.stopped) return { seen: DECKY_STATE.stopped, config_hash: null };
  return { seen: DECKY_STATE.running, config_hash: hashOf(sight.spec) };
}

const hashOf = (spec: DeckySpec): string => createHash('sha256').update(JSON.stringify(spec)).digest('hex');

/** Deckies that an order is about and that have not ended in it. */
function openDeckies(
  context: AgentContext,
  state: AgentState,
  order: OrderRecord,
  isWorking: boolean,
  sights: Sights,
): (readonly [string, AgentDecky])[] {
  return subjects(order)
    .filter(([name]) => !hasEndedIn(state, order, name))
    .map(([name, operation]) => {
      const record = knownRecord(state, name) ?? { desired: null, established: null, last: null };
      const step = isWorking ? (context.steps.get(name) ?? context.steps.get(WHOLE_ENGINE) ?? null) : null;
      const status: Status = isWorking && context.steps.has(name) ? 'running' : 'pending';
      const { operation_id, attempt } = order;
      return [name, { operation_id, attempt, operation, status, error: null, step, ...seenOf(name, record, sights) }];
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
