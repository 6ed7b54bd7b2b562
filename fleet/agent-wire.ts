/**
 * What master and agents have to agree on, without a schema library, so that workflow code can
 * import it: ports, names, intervals, and the signal that a heartbeat becomes. The bodies
 * themselves are schemas in wire.ts and agent-report.ts; their types are named here too. Additions
 * of ours stand beside DECNET's fields under `deckhand`, never inside them
 * (docs/wire.md#heartbeat): its models ignore extras at the root and refuse them in a decky.
 */
import type { DeckyState, Status } from './lifecycle.ts';

export type { AgentDecky, AgentReport, AgentStatus, Delta, HeartbeatBody } from './agent-report.ts';
export type {
  AgentDeployBody,
  AgentMutateBody,
  AgentTeardownBody,
  DecnetConfig,
  DeployOrder,
  Fence,
  OrderFence,
} from './wire.ts';

/** Seconds between two heartbeats of an agent (docs/wire.md#heartbeat). */
export const HEARTBEAT_INTERVAL_S = 30;
export const AGENT_PORT = 8765;
export const SWARM_PORT = 8770;

/** Identities of the master's own, which no host may have (docs/wire.md#enrolment). */
export const MASTER_NAME = 'decnet-master';
export const SWARMCTL_NAME = 'swarmctl';

/**
 * What a heartbeat tells the workflow that owns the open rows: facts about deckies, already matched
 * to their rows.
 */

/** Name of the signal; its one argument is a {@link HostReport}. */
export const HEARTBEAT_SIGNAL = 'heartbeat';

export interface DeckyReport {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly status: Exclude<Status, 'pending'>;
  /** `Type: message`, secrets cut out; null unless failed. */
  readonly error: string | null;
  readonly seen: DeckyState | null;
  /**
   * Null: from an agent without fences. The operation was compared already; attempt and sequence
   * are the workflow's to judge.
   */
  readonly fence: { readonly attempt: number; readonly sequence: number } | null;
}

export interface HostReport {
  readonly hostUuid: string;
  readonly reports: readonly DeckyReport[];
}
