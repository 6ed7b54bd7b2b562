/** What rotations ask of PostgreSQL. */
import { withFailures } from './failures.ts';

/** The store as these activities need it; adapters/postgres/rotation.ts implements it. */
export interface Rotating {
  due(limit: number): Promise<string[]>;
  store(input: { operationId: string; deckyName: string }): Promise<void>;
  noteSkip(input: { operationId: string; deckyName: string; reason: string }): Promise<void>;
}

export interface RotationActivities {
  /** Deckies that inherit the global interval and are due, by name. */
  dueRotations(input: { limit: number }): Promise<string[]>;
  /** Stores the request that the mutation then accepts; safe to repeat. */
  storeRotation(input: { operationId: string; deckyName: string }): Promise<void>;
  noteSkip(input: { operationId: string; deckyName: string; reason: string }): Promise<void>;
}

export const createRotationActivities = (store: Rotating): RotationActivities =>
  withFailures<RotationActivities>({
    dueRotations: ({ limit }) => store.due(limit),
    storeRotation: (input) => store.store(input),
    noteSkip: (input) => store.noteSkip(input),
  });
