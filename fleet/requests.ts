/** Stored requests of the kinds `reconcile`, `stop` and `start` (docs/convergence.md). */

/** Who asks for what the clock does, in requests and lists. */
export const RECONCILE_USER = 'reconcile';

export interface ReconcileRequest {
  /** Null: all that drift. */
  readonly deckies: readonly string[] | null;
  /** A host's uuid, or `local`; null: all. */
  readonly host: string | null;
  /** True: what a host has otherwise that is back, after it was given up. */
  readonly returned?: boolean;
}

export interface PowerRequest {
  readonly decky_name: string;
}

/** Stored request of the kind `move`: all deckies of a host go to others (docs/swarm.md). */
export interface MoveRequest {
  /** The host that they leave. */
  readonly host_uuid: string;
}

/** A stored request of kind `mutate`. */
/** Who wants a mutation: an operator, or the clock (docs/wire.md#events). */
export type MutationTrigger = 'operator' | 'scheduled';

export interface MutateRequest {
  readonly decky_name: string;
  /** Null: drawn. */
  readonly services: readonly string[] | null;
  readonly trigger: MutationTrigger;
}

/** What is asked for when several deckies go at once. */
export interface SeveralTeardown {
  /** Null: the whole fleet. */
  readonly host_uuid: string | null;
  /** True: only what the host owes since it was lost. */
  readonly owed: boolean;
}

/** Who asks, in requests and lists, when a host is back that owes teardowns. */
export const RETURN_USER = 'host-return';
