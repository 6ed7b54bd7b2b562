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
