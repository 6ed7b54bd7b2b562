/** What is asked for when several deckies go at once. */
export interface SeveralTeardown {
  /** Null: the whole fleet. */
  readonly host_uuid: string | null;
  /** True: only what the host owes since it was lost. */
  readonly owed: boolean;
}

/** Who asks, in requests and lists, when a host is back that owes teardowns. */
export const RETURN_USER = 'host-return';
