/**
 * What workflows ask of the agents on other hosts.
 *
 * 1. The activities.
 * 2. What an observation of a host leaves in a history, and on screens.
 */

import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { AgentAddress, AgentAnswer, AgentClient } from '../adapters/agent/client.ts';
import type { HostWork } from '../adapters/postgres/fleet.ts';
import type { Host } from '../adapters/postgres/hosts.ts';
import type { AgentDeployBody, Fence } from '../fleet/agent-wire.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { type Json, readHostObservation } from '../fleet/host-observation.ts';
import { deployBody, hostSet, mutateBody } from '../fleet/hosts.ts';
import { judgeStatus, type RowObservation } from '../fleet/judge-host.ts';
import { OPERATION, STATUS, type Transition } from '../fleet/lifecycle.ts';
import type { ShardObservation, ShardRow } from '../fleet/shard-rows.ts';
import { boundedText, isRetry, LONGEST_STEP } from '../fleet/text.ts';
import { alive } from './alive.ts';
import { finalFailure, toFailure, withFailures } from './failures.ts';

export interface ShardInput {
  readonly hostUuid: string;
  readonly operationId: string;
  /** The shard's own id, which its rows carry. */
  readonly workflowId: string;
  readonly attempt: number;
}

export interface DispatchInput extends ShardInput {
  /** The shard knows its rows: they need not stand in its history again. */
  readonly rowsKnown: boolean;
  /** Epoch milliseconds until which a failed order is sent again, for people. */
  readonly retryUntil: number;
}

export interface Dispatched {
  readonly rows: readonly ShardRow[];
  /** `accepted`: reports will come. `done`: the answer says that all is down. `unknown`: sent, but the answer was lost. */
  readonly answer: 'accepted' | 'done' | 'unknown';
  /** True for an agent whose reports carry fences. */
  readonly fenced: boolean;
}

export interface AgentStore {
  hostWork(input: { hostUuid: string; workflowId: string; operationId: string }): Promise<HostWork>;
  /** The decky is down on the host: its teardown is not pending any more. */
  forgetPendingTeardown(hostUuid: string, deckyName: string): Promise<void>;
  record(transitions: readonly Transition[]): Promise<string[]>;
  /** By lifecycle id; a null step: none. */
  noteSteps(steps: ReadonlyMap<string, { step: string | null; attempt: number }>): Promise<void>;
}

export interface AgentDependencies {
  readonly store: AgentStore;
  readonly hosts: {
    get(uuid: string): Promise<Host | null>;
    markReachable(uuid: string, seen?: { clockOffsetMs?: number }): Promise<unknown>;
    markUnreachable(uuid: string): Promise<unknown>;
  };
  readonly client: AgentClient;
  /** Cuts the secrets of these deckies out of a text (promise 10). */
  readonly cutSecrets: (text: string, deckies: readonly DesiredDecky[]) => string;
  /** Has the outbox sent soon, without waiting for it. */
  readonly notify: () => void;
  /** DECKHAND_REPORT_GRACE. */
  readonly reportGraceMs: number;
}

export interface AgentActivities {
  /** Marks the shard's rows running and sends the host its whole desired set, once. Throws HostUnreachable (try again), HostSilent, HostMismatch, HostRefused. */
  dispatchShard(input: DispatchInput): Promise<Dispatched>;
  /**
   * Has the host end what it was sent: what never came up goes, what ran before comes back. By a later attempt of the operation,
   * which takes the place of the earlier one; so false where the agent knows no attempts (DECNET's). Throws as dispatchShard.
   */
  recallShard(input: ShardInput): Promise<boolean>;
  /**
   * What the agent's status proves about the open rows of a shard. A host that does not answer is no error here. Throws what no
   * retry cures: NotFound (the host was removed), HostMismatch, HostRefused.
   */
  askHost(input: ShardInput): Promise<ShardObservation>;
  /** Fails, to be tried again, as long as the host gives no status; the steps of the open rows say why, and `until` when. Throws as askHost. */
  awaitHost(input: { hostUuid: string; workflowId: string; operationId: string; until: number }): Promise<void>;
  /** Takes one decky down on its host; resolves when it is down. Throws HostFailed, for good, where the agent says that it failed. */
  tearDownOnHost(input: { hostUuid: string; operationId: string; deckyName: string }): Promise<void>;
  /** The host gave no sign of life for too long: it is shown so, and gets no new deckies. */
  giveHostUp(input: { hostUuid: string }): Promise<void>;
}

const addressOf = (host: Host): AgentAddress => ({
  hostUuid: host.uuid,
  name: host.name,
  address: host.address,
  port: host.agentPort,
  fingerprints: [host.fingerprint, ...(host.nextFingerprint ? [host.nextFingerprint] : [])],
});

const notEnrolled = (uuid: string): DeckhandError =>
  new DeckhandError('NotFound', `Host ${uuid} is not enrolled any more.`);

const rowsOf = (work: HostWork): ShardRow[] =>
  work.rows.map(({ lifecycleId, deckyName, operation }) => ({ lifecycleId, deckyName, operation }));

export function createAgentActivities(deps: AgentDependencies): AgentActivities {
  const { store, hosts, client } = deps;

  async function hostOf(uuid: string): Promise<Host> {
    const host = await hosts.get(uuid);
    if (!host) throw notEnrolled(uuid);
    return host;
  }

  /** Whatever a host answers is a sign of life, and tells its clock. */
  async function answered<T>(host: Host, call: Promise<AgentAnswer<T>>): Promise<T> {
    const { body, clockOffsetMs } = await call;
    // An agent of ours that is active says so by its heartbeats, and its clock is nobody's concern: a statement less for each call.
    if (!host.fenced || host.status !== 'active')
      await hosts.markReachable(host.uuid, clockOffsetMs === null ? {} : { clockOffsetMs });
    return body;
  }

  async function dispatchShard(input: DispatchInput): Promise<Dispatched> {
    const [host, work] = await Promise.all([hosts.get(input.hostUuid), store.hostWork(input)]);
    const rows = input.rowsKnown ? [] : rowsOf(work);
    if (work.rows.length === 0) return { rows, answer: 'done', fenced: host?.fenced ?? false };
    if (host === null && !isOnlyTeardowns(work)) throw notEnrolled(input.hostUuid);
    // Stamps dispatched_at, before the first send.
    const running = work.rows.map(({ lifecycleId, deckyName }) => ({ lifecycleId, deckyName, status: STATUS.running }));
    if ((await store.record(running)).length > 0) deps.notify();
    if (host === null) return { rows, answer: 'done', fenced: false };
    try {
      return { rows, answer: await send(host, work, input), fenced: host.fenced };
    } catch (error) {
      const cut = cutOf(work);
      const code = isDeckhandError(error) ? error.code : null;
      // What could not be taken down is for the operator to try again.
      const isTeardown = work.rows.every((row) => row.operation === OPERATION.teardown);
      if (isTeardown && isDeckhandError(error) && code === 'HostFailed') throw finalFailure(error, cut);
      // Ours works once on a repeated order; DECNET's would work twice, so it is asked instead.
      if ((code === 'HostSilent' || code === 'HostFailed') && !host.fenced)
        return { rows, answer: 'unknown', fenced: false };
      const word = isDeckhandError(error) ? cut(error.message) : String(error);
      await noteWait(work, input.attempt, `the order is sent again until ${timeOf(input.retryUntil)}: ${word}`);
      throw toFailure(error, cut);
    }
  }

  const cutOf =
    (work: HostWork) =>
    (text: string): string =>
      deps.cutSecrets(text, desiredOf(work));

  /** For screens: the last error first comes to light here, and a store that is away is told of elsewhere. */
  const noteWait = (work: HostWork, attempt: number, step: string): Promise<void> =>
    store
      .noteSteps(new Map(work.rows.map((row) => [row.lifecycleId, { step: boundedText(step, LONGEST_STEP), attempt }])))
      .catch(() => undefined);

  async function send(host: Host, work: HostWork, input: ShardInput): Promise<'accepted' | 'done'> {
    const fence: Fence = { operation_id: input.operationId, attempt: input.attempt };
    const mutation = mutateBody(work, fence);
    if (mutation) {
      await answered(host, client.mutate(addressOf(host), mutation));
      return 'accepted';
    }
    const set = hostSet(work.members, input.workflowId);
    if (set.length === 0) {
      await answered(host, client.teardown(addressOf(host), { decky_id: null, deckhand: fence }));
      return 'done';
    }
    await answered(host, client.deploy(addressOf(host), orderOf(host, work, set, fence)));
    return 'accepted';
  }

  async function recallShard(input: ShardInput): Promise<boolean> {
    const [host, work] = await Promise.all([hosts.get(input.hostUuid), store.hostWork(input)]);
    if (!host?.fenced) return false;
    const fence: Fence = { operation_id: input.operationId, attempt: input.attempt };
    // Nobody's own rows count: the host is to be as it was established.
    const set = hostSet(work.members, '');
    const order = { ...work, rows: [] };
    try {
      if (set.length === 0) await client.teardown(addressOf(host), { decky_id: null, deckhand: fence });
      else await client.deploy(addressOf(host), orderOf(host, order, set, fence));
    } catch (error) {
      throw toFailure(error, (text) => deps.cutSecrets(text, desiredOf(work)));
    }
    return true;
  }

  function orderOf(host: Host, work: HostWork, set: readonly DesiredDecky[], fence: Fence): AgentDeployBody {
    const { network, options } = work;
    if (!network) throw new DeckhandError('NetworkConflict', 'The fleet has no network: its settings row is missing.');
    const named = (removed: boolean): string[] =>
      work.rows.filter((row) => (row.operation === OPERATION.teardown) === removed).map((row) => row.deckyName);
    return deployBody(set, {
      fence,
      network,
      useIpvlan: host.useIpvlan,
      options,
      deploy: named(false),
      remove: named(true),
    });
  }

  async function askHost(input: ShardInput): Promise<ShardObservation> {
    const [host, work] = await Promise.all([hosts.get(input.hostUuid), store.hostWork(input)]);
    if (!host) return overObservation(input, work);
    const cut = cutOf(work);
    const lastSignMs = host.lastHeartbeat?.getTime() ?? null;
    let said: Json;
    try {
      said = await answered(host, client.status(addressOf(host)));
    } catch (error) {
      if (!isDeckhandError(error)) throw error;
      if (!error.retryable) throw toFailure(error, cut);
      const sentence = boundedText(cut(error.message), LONGEST_STEP);
      return { ...nothing, reachable: false, sentence, lastSignMs, fenced: host.fenced };
    }
    const status = readHostObservation(said, cut);
    const fence: Fence = { operation_id: input.operationId, attempt: input.attempt };
    const configs = new Map(work.members.map(({ desired }) => [desired.config.name, desired.config]));
    const asked = work.rows.map(({ deckyName, operation }) => ({
      deckyName,
      operation,
      config: operation === OPERATION.teardown ? null : (configs.get(deckyName) ?? null),
    }));
    const { known, has, rows } = judgeStatus(status, fence, asked);
    await store.noteSteps(stepsOf(work.rows, rows, input.attempt)).catch(() => undefined);
    return {
      ...nothing,
      lastSignMs: Date.now(),
      fenced: host.fenced || status.report !== null,
      known,
      has,
      ...bounded(rows),
    };
  }

  const nothing = {
    reachable: true,
    sentence: null,
    known: true,
    has: false,
    rows: [],
    more: false,
    steps: [],
    reportGraceMs: deps.reportGraceMs,
  };

  /** The host was removed meanwhile: as in dispatchShard. */
  function overObservation(input: ShardInput, work: HostWork): ShardObservation {
    if (!isOnlyTeardowns(work)) throw notEnrolled(input.hostUuid);
    const gone = { status: STATUS.succeeded, proof: 'certain', error: null, seen: null, step: null } as const;
    const rows = work.rows.map(({ deckyName }) => ({ deckyName, ...gone }));
    return { ...nothing, lastSignMs: Date.now(), fenced: true, ...bounded(rows) };
  }

  async function awaitHost(input: Parameters<AgentActivities['awaitHost']>[0]): Promise<void> {
    const host = await hostOf(input.hostUuid);
    try {
      await answered(host, client.status(addressOf(host)));
    } catch (error) {
      const work = await store.hostWork(input);
      const cut = cutOf(work);
      if (isDeckhandError(error)) {
        const until = `host ${host.name} is asked again until ${timeOf(input.until)}`;
        await noteWait(work, Context.current().info.attempt, `${until}: ${cut(error.message)}`);
      }
      throw toFailure(error, cut);
    }
  }

  return withFailures<AgentActivities>({
    // The answer to a teardown of everything comes when it is done.
    dispatchShard: (input) => alive(() => dispatchShard(input)),
    recallShard: (input) => alive(() => recallShard(input)),
    askHost,
    awaitHost,
    tearDownOnHost: ({ hostUuid, operationId, deckyName }) =>
      alive(async () => {
        const host = await hosts.get(hostUuid);
        // As in dispatchShard: what a removed host may still run is out of reach for good.
        if (!host) return;
        const fence: Fence = { operation_id: operationId, attempt: 1 };
        try {
          await answered(host, client.teardown(addressOf(host), { decky_id: deckyName, deckhand: fence }));
        } catch (error) {
          const work = await store.hostWork({
            hostUuid,
            operationId,
            workflowId: Context.current().info.workflowExecution?.workflowId ?? '',
          });
          throw isDeckhandError(error) && error.code === 'HostFailed'
            ? finalFailure(error, cutOf(work))
            : toFailure(error, cutOf(work));
        }
        await store.forgetPendingTeardown(hostUuid, deckyName);
      }),
    giveHostUp: async ({ hostUuid }) => {
      await hosts.markUnreachable(hostUuid);
    },
  });
}

/** With teardowns only, a removed host counts as empty: nobody can be asked, and its deckies must not stay for ever. */
const isOnlyTeardowns = (work: HostWork): boolean => work.rows.every((row) => row.operation === OPERATION.teardown);

const timeOf = (moment: number): string => `${new Date(moment).toISOString().slice(0, 19)}Z`;

const desiredOf = (work: HostWork): DesiredDecky[] =>
  work.members.flatMap(({ desired, established }) => [desired, ...(established ? [established] : [])]);

/** Bytes of rows in one event of a history. Temporal takes 2 MiB at most in one payload, and warns from a quarter of that. */
const HISTORY_BYTES = 400_000;

const MOST_MARKS = 10_000;

/** What a step is recognised by: eight characters. A repeated try of something that failed is none. */
const stepMark = ({ deckyName, status, step }: RowObservation): string[] =>
  status !== 'open' || step === null || isRetry(step)
    ? []
    : [createHash('sha256').update(`${deckyName} ${step}`).digest('base64').slice(0, 8)];

/** The rows that ended, as many as one history event should hold; the others by the marks of their steps. */
export function bounded(rows: readonly RowObservation[]): {
  readonly rows: readonly RowObservation[];
  readonly more: boolean;
  readonly steps: readonly string[];
} {
  const ended = rows.filter((row) => row.status !== 'open');
  const some: RowObservation[] = [];
  let left = HISTORY_BYTES;
  for (const row of ended) {
    left -= Buffer.byteLength(JSON.stringify(row));
    if (left < 0 && some.length > 0) break;
    some.push(row);
  }
  return { rows: some, more: some.length < ended.length, steps: rows.flatMap(stepMark).slice(0, MOST_MARKS) };
}

/** By lifecycle id: what each open row is at. */
export function stepsOf(
  rows: readonly { readonly lifecycleId: string; readonly deckyName: string }[],
  observations: readonly RowObservation[],
  attempt: number,
): Map<string, { step: string | null; attempt: number }> {
  const ids = new Map(rows.map((row) => [row.deckyName, row.lifecycleId]));
  return new Map(
    observations.flatMap(({ deckyName, status, step }) => {
      const id = ids.get(deckyName);
      return id !== undefined && status === 'open' ? [[id, { step, attempt }] as const] : [];
    }),
  );
}
