/** What workflows ask of the agents on other hosts. */
import type { AgentAddress, AgentAnswer, AgentClient } from '../adapters/agent/client.ts';
import type { HostWork } from '../adapters/postgres/host-work.ts';
import type { Host } from '../adapters/postgres/hosts.ts';
import type { AgentDeployBody, AgentStatus, Fence } from '../fleet/agent-wire.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { deployBody, hostSet, mutateBody } from '../fleet/host-set.ts';
import { judgeStatus, type RowSight } from '../fleet/judge-host.ts';
import type { Operation, Transition } from '../fleet/lifecycle.ts';
import { OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { alive } from './alive.ts';
import { toFailure, withFailures } from './failures.ts';

export interface ShardInput {
  readonly hostUuid: string;
  readonly operationId: string;
  /** The shard's own id, which its rows carry. */
  readonly workflowId: string;
  readonly attempt: number;
}

export interface ShardRow {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly operation: Operation;
}

export interface Dispatched {
  readonly rows: readonly ShardRow[];
  /** `accepted`: reports will come. `done`: the answer says that all is down. `unknown`: sent, but the answer was lost. */
  readonly answer: 'accepted' | 'done' | 'unknown';
  /** True for an agent whose reports carry fences. */
  readonly fenced: boolean;
}

export interface HostSight {
  readonly reachable: boolean;
  /** Why not, where it is not. */
  readonly sentence: string | null;
  /** Epoch milliseconds of the host's last sign of life; null: never. */
  readonly lastSignMs: number | null;
  readonly fenced: boolean;
  readonly known: boolean;
  readonly rows: readonly RowSight[];
  /** How long after a dispatch a report of an agent without fences may still be under way. */
  readonly reportGraceMs: number;
}

export interface AgentStore {
  hostWork(input: { hostUuid: string; workflowId: string; operationId: string }): Promise<HostWork>;
  /** The decky is down on the host, which owes that no more. */
  owesNoMore(hostUuid: string, deckyName: string): Promise<void>;
  record(transitions: readonly Transition[]): Promise<string[]>;
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
  readonly pump: () => void;
  /** DECKHAND_REPORT_GRACE. */
  readonly reportGraceMs: number;
}

export interface AgentActivities {
  /** Marks the shard's rows running and sends the host its whole desired set, once. Throws HostUnreachable (try again), HostSilent, HostMismatch, HostRefused. */
  dispatchShard(input: ShardInput): Promise<Dispatched>;
  /**
   * Has the host end what it was sent: what never came up goes, what ran before comes back. By a later attempt of the operation,
   * which takes the place of the earlier one; so false where the agent knows no attempts (DECNET's). Throws as dispatchShard.
   */
  recallShard(input: ShardInput): Promise<boolean>;
  /** What the agent's status proves about the open rows of a shard. Never throws for a host that does not answer. */
  askHost(input: ShardInput): Promise<HostSight>;
  /** Fails, to be tried again, as long as the host does not answer. */
  awaitHost(input: { hostUuid: string }): Promise<void>;
  /** Takes one decky down on its host; resolves when it is down. */
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

  async function dispatchShard(input: ShardInput): Promise<Dispatched> {
    const [host, work] = await Promise.all([hosts.get(input.hostUuid), store.hostWork(input)]);
    const rows = rowsOf(work);
    if (rows.length === 0) return { rows, answer: 'done', fenced: host?.fenced ?? false };
    // Nobody can be asked to take down what a removed host may still run; its deckies must not stay for ever.
    const gone = host === null && rows.every((row) => row.operation === OPERATION.teardown);
    if (host === null && !gone) throw notEnrolled(input.hostUuid);
    // Stamps dispatched_at, before the first send.
    const running = rows.map(({ lifecycleId, deckyName }) => ({ lifecycleId, deckyName, status: STATUS.running }));
    if ((await store.record(running)).length > 0) deps.pump();
    if (host === null) return { rows, answer: 'done', fenced: false };
    try {
      return { rows, answer: await send(host, work, input), fenced: host.fenced };
    } catch (error) {
      // Ours works once on a repeated order; DECNET's would work twice, so it is asked instead.
      if (isDeckhandError(error) && error.code === 'HostSilent' && !host.fenced)
        return { rows, answer: 'unknown', fenced: false };
      throw toFailure(error, (text) => deps.cutSecrets(text, desiredOf(work)));
    }
  }

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

  async function askHost(input: ShardInput): Promise<HostSight> {
    const [host, work] = await Promise.all([hosts.get(input.hostUuid), store.hostWork(input)]);
    const unseen = { known: true, rows: [], reportGraceMs: deps.reportGraceMs };
    if (!host)
      return { ...unseen, reachable: false, sentence: 'it is not enrolled any more', lastSignMs: null, fenced: false };
    const lastSignMs = host.lastHeartbeat?.getTime() ?? null;
    let status: AgentStatus;
    try {
      status = await answered(host, client.status(addressOf(host)));
    } catch (error) {
      if (!isDeckhandError(error)) throw error;
      return { ...unseen, reachable: false, sentence: error.message, lastSignMs, fenced: host.fenced };
    }
    const fence: Fence = { operation_id: input.operationId, attempt: input.attempt };
    const configs = new Map(work.members.map(({ desired }) => [desired.config.name, desired.config]));
    const asked = work.rows.map(({ deckyName, operation }) => ({
      deckyName,
      operation,
      config: operation === OPERATION.teardown ? null : (configs.get(deckyName) ?? null),
    }));
    const { known, rows } = judgeStatus(status, fence, asked);
    const cut = (text: string | null): string | null => text && deps.cutSecrets(text, desiredOf(work));
    return {
      reachable: true,
      sentence: null,
      lastSignMs: Date.now(),
      fenced: host.fenced || status.deckhand !== undefined,
      known,
      rows: rows.map((row) => ({ ...row, error: cut(row.error), step: cut(row.step) })),
      reportGraceMs: deps.reportGraceMs,
    };
  }

  return withFailures<AgentActivities>({
    // The answer to a teardown of everything comes when it is done.
    dispatchShard: (input) => alive(() => dispatchShard(input)),
    recallShard: (input) => alive(() => recallShard(input)),
    askHost,
    awaitHost: async ({ hostUuid }) => {
      const host = await hostOf(hostUuid);
      await answered(host, client.health(addressOf(host)));
    },
    tearDownOnHost: ({ hostUuid, operationId, deckyName }) =>
      alive(async () => {
        const host = await hosts.get(hostUuid);
        // As in dispatchShard: what a removed host may still run is out of reach for good.
        if (!host) return;
        const fence: Fence = { operation_id: operationId, attempt: 1 };
        await answered(host, client.teardown(addressOf(host), { decky_id: deckyName, deckhand: fence }));
        await store.owesNoMore(hostUuid, deckyName);
      }),
    giveHostUp: async ({ hostUuid }) => {
      await hosts.markUnreachable(hostUuid);
    },
  });
}

const desiredOf = (work: HostWork): DesiredDecky[] =>
  work.members.flatMap(({ desired, established }) => [desired, ...(established ? [established] : [])]);
