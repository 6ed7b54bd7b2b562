/**
 * The port of a compose engine: what Deckhand wants of the containers of one machine. Two engines implement it: the
 * Docker Engine by dockerode, and a simulated one for machines without Docker and for load, which says so.
 */
import type { ComposeDocument, DeckySpec } from '../fleet/compose.ts';
import type { FleetNetwork } from '../fleet/config.ts';
import type { Difference } from '../fleet/drift.ts';

/** Whose containers: only what carries `deckhand.instance=<instance>` is changed or removed. */
export interface EngineScope {
  /** The id of DECKHAND_HOME. */
  readonly instance: string;
  readonly project: string;
  /** Name of the one network; absent: `<project>_lan`. The Nth agent of a machine has `decnet_lan_N`. */
  readonly networkName?: string;
}

export const networkNameOf = (scope: EngineScope): string => scope.networkName ?? `${scope.project}_lan`;

export interface OperationOptions {
  readonly signal?: AbortSignal;
  /** A short phrase in the present tense ("pulling example/honey:1"), for heartbeats, rows and screens. */
  readonly onProgress?: (step: string) => void;
}

/** A step of a plan, with its reason; see plan.ts for the kinds. */
export interface PlannedStep {
  readonly action: string;
  readonly target: string;
  readonly reason: string;
}

export interface UpResult {
  /** True when nothing had to be done. */
  readonly unchanged: boolean;
  readonly steps: readonly PlannedStep[];
}

/** `waiting`: runs, but not long enough yet. `failed` carries the evidence in `sentence` (container, state, exit code, last log lines). */
export type Health =
  | { readonly status: 'healthy' }
  | { readonly status: 'waiting'; readonly sentence: string; readonly remainingMs: number }
  | { readonly status: 'failed'; readonly sentence: string };

/** What was seen of a decky's containers. */
export interface DeckyObservation {
  readonly decky: string;
  /** All of its containers run and are as the spec wants them (config hash and image). */
  readonly asSpecified: boolean;
  /** Why not, one phrase a difference; empty when as specified. */
  readonly differences: readonly string[];
  /** The same by reason, without what only follows from another difference. */
  readonly drift: readonly Difference[];
  readonly containers: readonly {
    readonly name: string;
    readonly service: string;
    readonly state: string;
    readonly ip: string | null;
  }[];
}

export interface Purged {
  /** How many were removed. */
  readonly containers: number;
  readonly networks: number;
  /** A sentence for each network that the engine keeps though nothing hangs on it. */
  readonly stuck: readonly string[];
}

export interface ComposeEngine {
  readonly simulated: boolean;
  /** Throws EngineUnreachable when the engine does not answer. */
  ping(signal?: AbortSignal): Promise<{ readonly version: string }>;
  /** Compares what runs with what should, for all deckies given, by one listing. Changes nothing. */
  observe(specs: readonly DeckySpec[], signal?: AbortSignal): Promise<readonly DeckyObservation[]>;
  /**
   * As `observe`, after it has started again what the engine's own doing took out of service: services that the engine could not
   * start when it came back, and services whose base was started after them. What exited otherwise stays as it is.
   */
  observeAndMend(specs: readonly DeckySpec[], signal?: AbortSignal): Promise<readonly DeckyObservation[]>;
  /**
   * Brings one decky up: network, images, containers; touches only what differs; returns when its containers were started.
   * One whose spec says `stopped` is stopped instead: its containers stay, and none of them runs.
   * Safe to repeat after a kill at any step. Throws DeckhandError, retryable or not (fleet/errors.ts).
   */
  up(spec: DeckySpec, network: FleetNetwork, options?: OperationOptions): Promise<UpResult>;
  /**
   * Of a stopped decky `healthy` means that none of its containers runs. Else: whether the decky's containers run and stayed up
   * for `minHealthyMs`; a container that restarts over and over is `failed`. What was ended from outside, by a restart of the
   * engine for instance, is brought up again, and `waiting`.
   */
  health(spec: DeckySpec, minHealthyMs: number, signal?: AbortSignal): Promise<Health>;
  /** Removes all containers of a decky that carry our label, base included; also when half of them are gone. Returns the names removed. */
  down(decky: string, options?: OperationOptions): Promise<readonly string[]>;
  /**
   * Not null where the network is ours but not as it should be: what hangs on it must go before it is made anew. `present`: the
   * one that is there; null where it is none that a fleet can have.
   */
  otherNetwork(network: FleetNetwork, signal?: AbortSignal): Promise<{ readonly present: FleetNetwork | null } | null>;
  /** Before anything is touched: throws NetworkConflict or EngineRefused where this network can't be made in place of the other. */
  tryNetwork(network: FleetNetwork, signal?: AbortSignal): Promise<void>;
  /** Makes the network where it is missing. */
  ensureNetwork(network: FleetNetwork, options?: OperationOptions): Promise<void>;
  /** Removes the network when no container of ours is left on it. */
  removeNetworkIfUnused(signal?: AbortSignal): Promise<boolean>;
  /** Deckies of this instance and project that have a container, whether wanted or not. */
  deckies(signal?: AbortSignal): Promise<readonly string[]>;
  /** Writes the resolved document, atomically, for an operator to take over with `docker compose`; returns its path. */
  writeDocument(document: ComposeDocument): Promise<string>;
  /** Removes every container and network of the instance, of any project. */
  purge(options?: OperationOptions): Promise<Purged>;
}
