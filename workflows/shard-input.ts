/** What a shard is given, and what one run of it hands to the next. */
import type { PlaceState } from './place-holder.ts';

export interface DeployShardInput {
  readonly operationId: string;
  readonly hostUuid: string;
  readonly hostName: string;
  /** False: it has to wait for its turn in the host's lane. */
  readonly turn: boolean;
  /** True: it holds one of the deployment's `max_parallel` places; false: it has to ask for one; null: there are enough for all. */
  readonly place: boolean | null;
  readonly minHealthyTimeMs: number;
  readonly healthyDeadlineMs: number;
  readonly progressDeadlineMs: number;
  readonly hostLostAfterMs: number;
  /** Events after which a new run begins; absent: as many as is sound. */
  readonly mostEvents?: number;
  /** From the run before. */
  readonly carry?: ShardCarry;
}

/** What is known of the host while the shard waits. */
export interface Watch {
  attempt: number;
  fenced: boolean;
  dispatchedAt: number;
  /** How long the attempt may take from then on, whatever moves. */
  boundMs: number;
  /** The first try, or the last sign of life. */
  lastSign: number;
  /** The last time that anything moved. */
  lastProgress: number;
  /** When the host was asked last, whether it answered or not. */
  lastAsk: number;
  nextAsk: number;
  /** Questions in a row that were not answered. */
  failedAsks: number;
  /** The last error of the host's; null while all is well. */
  why: string | null;
  /** Deckies that reported, in this attempt, that their work began. */
  readonly begun: Set<string>;
  /** Steps that were seen, so that one that comes again moves nothing. */
  readonly seenSteps: Set<string>;
  /** The last sequence that was believed, by decky. */
  readonly sequences: Map<string, number>;
  /** What one look said, to be proved by a second (agents without fences). */
  readonly doubts: Map<string, { status: 'succeeded' | 'failed'; at: number }>;
  /** Failures that an agent without fences reported: its batch may have failed and the decky run. */
  readonly suspects: Map<string, string>;
}

type Scalars = Omit<Watch, 'begun' | 'seenSteps' | 'sequences' | 'doubts' | 'suspects'>;

/** Open rows are read again, and what was reported has been taken in and written. */
export interface ShardCarry {
  readonly watch: Scalars;
  readonly begun: readonly string[];
  readonly seenSteps: readonly string[];
  readonly sequences: readonly (readonly [string, number])[];
  readonly doubts: readonly (readonly [string, { readonly status: 'succeeded' | 'failed'; readonly at: number }])[];
  readonly suspects: readonly (readonly [string, string])[];
  readonly place: PlaceState;
  readonly done: readonly string[];
  readonly failed: readonly string[];
}
