/** A stored request of kind `mutate`. */
/** Who wants a mutation: an operator, or the clock (wire.md 6). */
export type MutationTrigger = 'operator' | 'scheduled';

export interface MutateRequest {
  readonly decky_name: string;
  /** Null: drawn. */
  readonly services: readonly string[] | null;
  readonly trigger: MutationTrigger;
}
