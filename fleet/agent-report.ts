/**
 * What an agent says to its master, as ours says it: one zod schema each, and the type inferred
 * from it. An agent of DECNET leaves out what stands under `deckhand`. The master reads both
 * leniently (host-observation.ts): what makes no sense costs itself only.
 */
import { z } from 'zod';
import { NETWORK_DRIVER } from './config.ts';
import { DRIFT } from './drift.ts';
import { DECKY_STATE, OPERATION, STATUS } from './lifecycle.ts';
import { DeckyConfig, Fence, type Immutable } from './wire.ts';

/** What an agent says of one decky. Without a fence it comes from an agent of DECNET. */
export const Delta = z.object({
  decky_name: z.string(),
  operation: z.enum(OPERATION),
  status: z.enum(STATUS).exclude(['pending']),
  error: z.string().optional(),
  /** ISO-8601. */
  completed_at: z.string().optional(),
  ...Fence.partial().shape,
  /** Grows with every delta that this agent ever made. */
  sequence: z.int().optional(),
  /**
   * What the agent saw of the decky at its end: `running` after a failure means that the last good
   * version is back.
   */
  seen: z.enum(DECKY_STATE).optional(),
});
export type Delta = Immutable<z.infer<typeof Delta>>;

/** What our agent knows of one decky beyond DECNET's status. */
export const AgentDecky = z.object({
  ...Fence.shape,
  operation: z.enum(OPERATION),
  /** How the attempt stands: `pending` in the queue, `running`, or how it ended. */
  status: z.enum(STATUS),
  error: z.string().nullable(),
  seen: z.enum(DECKY_STATE),
  /** Hash of the containers' configuration that runs; null where nothing runs. */
  config_hash: z.string().nullable(),
  /** One phrase, while it works on it. */
  step: z.string().nullable(),
  /**
   * How its containers differ from what the host was told; absent where the engine does not answer.
   */
  drift: z.array(z.object({ reason: z.enum(DRIFT), container: z.string() })).optional(),
});
export type AgentDecky = Immutable<z.infer<typeof AgentDecky>>;

/** `deckhand` in the `/status` of our agent, and in the `status` of its heartbeats. */
export const AgentReport = z.object({
  version: z.string(),
  /** The network that its deckies are on; null before the first deploy. */
  network: z
    .object({ driver: z.enum(NETWORK_DRIVER), interface: z.string(), subnet: z.string(), gateway: z.string() })
    .nullable(),
  /** Orders that were accepted and have not ended, in the order in which they are worked off. */
  work: z.array(
    z.object({
      ...Fence.shape,
      kind: z.enum(['deploy', 'mutate', 'teardown']),
      state: z.enum(['queued', 'working']),
    }),
  ),
  /**
   * By name: deckies that have a container or that the last attempts were about (ended ones are
   * kept for a day).
   */
  deckies: z.record(z.string(), AgentDecky),
  /** The highest ticket of an order that it has accepted; absent before the first. */
  ticket: z.int().optional(),
  /** Deltas that the master has not acknowledged yet. */
  unreported: z.int(),
  /**
   * Deckies that have containers of this agent's, and that no order wants; absent where that can't
   * be said now.
   */
  orphans: z.array(z.string()).optional(),
});
export type AgentReport = Immutable<z.infer<typeof AgentReport>>;

/** `GET /status`; not deployed: `{deployed: false, deckies: []}`. */
export const AgentStatus = z.object({
  deployed: z.boolean(),
  mode: z.string().optional(),
  compose_path: z.string().optional(),
  deckies: z.array(DeckyConfig),
  /**
   * By decky; empty where Docker does not answer. Services by name: Docker's status, or "absent".
   */
  runtime: z
    .record(z.string(), z.object({ running: z.boolean(), services: z.record(z.string(), z.string()) }))
    .optional(),
  deckhand: AgentReport.optional(),
});
export type AgentStatus = Immutable<z.infer<typeof AgentStatus>>;

/** `POST /swarm/heartbeat`. */
export const HeartbeatBody = z.object({
  host_uuid: z.string(),
  agent_version: z.string().nullable(),
  status: AgentStatus,
  topology: z.unknown().optional(),
  lifecycle: z.array(Delta).nullable().optional(),
});
export type HeartbeatBody = Immutable<z.infer<typeof HeartbeatBody>>;
