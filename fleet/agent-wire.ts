/**
 * What master and agents say to each other: DECNET's shapes (docs/wire.md#heartbeat), and what ours adds. Additions stand beside
 * DECNET's fields under `deckhand`, never inside them: its models ignore extras at the root and refuse them in a decky.
 */
import type { CustomService, DeckyConfig, FleetNetwork } from './config.ts';
import type { DriftReason } from './drift.ts';
import type { DeckyState, Operation, Status } from './lifecycle.ts';

/** DECNET's root document (docs/configuration.md#models). */
export interface DecnetConfig {
  readonly mode: 'unihost' | 'swarm';
  readonly interface: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly deckies: readonly DeckyConfig[];
  readonly log_file: string | null;
  readonly ipvlan: boolean;
  /** Minutes. */
  readonly mutate_interval: number | null;
}

/** Which attempt of which operation an order or a report belongs to (docs/design.md#the-fence). */
export interface Fence {
  /** The deployment's id; for a mutation or a teardown of one decky its lifecycle id. */
  readonly operation_id: string;
  /** From 1; grows when the master decides to dispatch anew, not when it repeats a send whose answer was lost. */
  readonly attempt: number;
}

/** Of an order. */
export interface OrderFence extends Fence {
  /**
   * The operation's number in the lane of the host, which grows with acceptance. An agent refuses an order with a lower one than
   * it has accepted: that order is of an operation before, and comes late. Absent: attempts alone are compared.
   */
  readonly ticket?: number;
}

/** What a deploy order says beyond DECNET's. */
export interface DeployOrder extends OrderFence {
  /** Deckies of the set that the operation is about: the agent reports on these. The others only have to stay as they are. */
  readonly deploy: readonly string[];
  /** Deckies that go with this operation; the agent reports on these too. */
  readonly remove: readonly string[];
  /** Deckies of the set that an operator stopped: none of their containers is to run. */
  readonly stopped?: readonly string[];
  /** By decky name, where a decky names services of the operator's own. */
  readonly custom_services: Readonly<Record<string, readonly CustomService[]>>;
  readonly min_healthy_time_ms: number;
  readonly healthy_deadline_ms: number;
  readonly progress_deadline_ms: number;
}

/** `POST /deploy`. The set is the host's whole desired set: what is not in it goes. */
export interface AgentDeployBody {
  readonly config: DecnetConfig;
  readonly dry_run: boolean;
  readonly no_cache: boolean;
  readonly deckhand?: DeployOrder;
}

export interface AgentMutateBody {
  readonly decky_id: string;
  readonly services: readonly string[];
  readonly dry_run: boolean;
  readonly deckhand?: Omit<DeployOrder, 'deploy' | 'remove' | 'stopped'>;
}

/** `decky_id` null: everything goes. Synchronous: the answer comes when it is down. */
export interface AgentTeardownBody {
  readonly decky_id: string | null;
  readonly deckhand?: OrderFence;
}

/** What an agent says of one decky. Without a fence it comes from an agent of DECNET. */
export interface Delta {
  readonly decky_name: string;
  readonly operation: Operation;
  readonly status: Exclude<Status, 'pending'>;
  readonly error?: string;
  /** ISO-8601. */
  readonly completed_at?: string;
  readonly operation_id?: string;
  readonly attempt?: number;
  /** Grows with every delta that this agent ever made. */
  readonly sequence?: number;
  /** What the agent saw of the decky at its end: `running` after a failure means that the last good version is back. */
  readonly seen?: DeckyState;
}

/** What our agent knows of one decky beyond DECNET's status. */
export interface AgentDecky extends Fence {
  readonly operation: Operation;
  /** How the attempt stands: `pending` in the queue, `running`, or how it ended. */
  readonly status: Status;
  readonly error: string | null;
  readonly seen: DeckyState;
  /** Hash of the containers' configuration that runs; null where nothing runs. */
  readonly config_hash: string | null;
  /** One phrase, while it works on it. */
  readonly step: string | null;
  /** How its containers differ from what the host was told; absent where the engine does not answer. */
  readonly drift?: readonly { readonly reason: DriftReason; readonly container: string }[];
}

/** `deckhand` in the `/status` of our agent, and in the `status` of its heartbeats. */
export interface AgentReport {
  readonly version: string;
  /** The network that its deckies are on; null before the first deploy. */
  readonly network: FleetNetwork | null;
  /** Orders that were accepted and have not ended, in the order in which they are worked off. */
  readonly work: readonly (Fence & {
    readonly kind: 'deploy' | 'mutate' | 'teardown';
    readonly state: 'queued' | 'working';
  })[];
  /** By name: deckies that have a container or that the last attempts were about (ended ones are kept for a day). */
  readonly deckies: Readonly<Record<string, AgentDecky>>;
  /** The highest ticket of an order that it has accepted; absent before the first. */
  readonly ticket?: number;
  /** Deltas that the master has not acknowledged yet. */
  readonly unreported: number;
  /** Deckies that have containers of this agent's, and that no order wants; absent where that can't be said now. */
  readonly orphans?: readonly string[];
}

/** `GET /status`; not deployed: `{deployed: false, deckies: []}`. */
export interface AgentStatus {
  readonly deployed: boolean;
  readonly mode?: string;
  readonly compose_path?: string;
  readonly deckies: readonly DeckyConfig[];
  /** By decky; empty where Docker does not answer. Services by name: Docker's status, or "absent". */
  readonly runtime?: Readonly<
    Record<string, { readonly running: boolean; readonly services: Readonly<Record<string, string>> }>
  >;
  readonly deckhand?: AgentReport;
}

/** `POST /swarm/heartbeat`. */
export interface HeartbeatBody {
  readonly host_uuid: string;
  readonly agent_version: string | null;
  readonly status: AgentStatus;
  readonly topology?: unknown;
  readonly lifecycle?: readonly Delta[] | null;
}

/** Seconds between two heartbeats of an agent (docs/wire.md#heartbeat). */
export const HEARTBEAT_INTERVAL_S = 30;
export const AGENT_PORT = 8765;
export const SWARM_PORT = 8770;

/** Identities of the master's own, which no host may have (docs/wire.md#enrolment). */
export const MASTER_NAME = 'decnet-master';
export const SWARMCTL_NAME = 'swarmctl';

/** What a heartbeat tells the workflow that owns the open rows: facts about deckies, already matched to their rows. */

/** Name of the signal; its one argument is a {@link HostReport}. */
export const HEARTBEAT_SIGNAL = 'heartbeat';

export interface DeckyReport {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly status: Exclude<Status, 'pending'>;
  /** `Type: message`, secrets cut out; null unless failed. */
  readonly error: string | null;
  readonly seen: DeckyState | null;
  /** Null: from an agent without fences. The operation was compared already; attempt and sequence are the workflow's to judge. */
  readonly fence: { readonly attempt: number; readonly sequence: number } | null;
}

export interface HostReport {
  readonly hostUuid: string;
  readonly reports: readonly DeckyReport[];
}
