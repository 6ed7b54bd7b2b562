/** What the bench asks of each contestant. */
import type { SimulatedAgents } from '../../test/support/simulated-agents/launch.ts';
import type { Named } from './usage.ts';

export interface Size {
  readonly hosts: number;
  /** For each host. */
  readonly deckies: number;
}

export const nameOf = ({ hosts, deckies }: Size): string => `${hosts} × ${deckies}`;

export const CONTESTANTS = ['Deckhand', 'bare, outside work', 'bare Temporal', 'DECNET'] as const;
export type ContestantName = (typeof CONTESTANTS)[number];

/** Milliseconds from the request; null where there is no such thing. */
export interface Timing {
  /** The answer to the request. */
  readonly acceptedMs: number | null;
  /** The last row has ended; for bare Temporal, the last workflow. What the ratios are made of. */
  readonly endedMs: number;
  /** The parent workflow has ended. */
  readonly closedMs: number | null;
  /** Events of the parent's history, and of the first child's. */
  readonly history: { readonly parent: number; readonly child: number } | null;
}

export interface Contestant {
  readonly name: ContestantName;
  /** Its own processes; those of the servers are counted beside. */
  readonly processes: readonly Named[];
  readonly agents: SimulatedAgents | null;
  /** One whole deploy. Throws when not every row succeeded. */
  run(size: Size): Promise<Timing>;
  /** As before the first run: no rows, no connections kept. */
  reset(): Promise<void>;
  stop(): Promise<void>;
  lastWords(): string;
}
