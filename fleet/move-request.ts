/** Stored request of the kind `move`: all deckies of a host go to others (docs/swarm.md). */
export interface MoveRequest {
  /** The host that they leave. */
  readonly host_uuid: string;
}
