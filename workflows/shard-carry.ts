/** What a shard carries into its next run, so that no history grows without end: chatty agents and long deadlines add to it. */
import { workflowInfo } from '@temporalio/workflow';
import type { Shard } from './shard.ts';
import type { DeployShardInput, ShardCarry, Watch } from './shard-input.ts';

/** Events after which a new run begins; Temporal warns at 10,240 and ends a workflow at 51,200. */
const MOST_EVENTS = 4_000;
/** A suspicion's text: there may be one for each decky. */
const LONGEST_SUSPICION = 200;

/** The last steps that were seen. One that is older and comes again counts as progress, and the attempt's bound holds all the same. */
const MOST_STEPS = 10_000;

export function isLong({ mostEvents = MOST_EVENTS }: DeployShardInput): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return historyLength > mostEvents || continueAsNewSuggested;
}

export function toCarry({ ledger, board, place }: Shard, watch: Watch): ShardCarry {
  const { begun, seenSteps, sequences, doubts, suspects, ...scalars } = watch;
  const open = <T>(entries: ReadonlyMap<string, T>): [string, T][] =>
    [...entries].filter(([name]) => ledger.isOpen(name));
  return {
    watch: scalars,
    begun: [...begun].filter((name) => ledger.isOpen(name)),
    seenSteps: [...seenSteps].slice(-MOST_STEPS),
    sequences: open(sequences),
    doubts: open(doubts),
    suspects: open(suspects).map(([name, error]) => [name, error.slice(0, LONGEST_SUSPICION)]),
    place: place.state,
    ...board.ends,
  };
}

export const fromCarry = ({ watch, begun, seenSteps, sequences, doubts, suspects }: ShardCarry): Watch => ({
  ...watch,
  begun: new Set(begun),
  seenSteps: new Set(seenSteps),
  sequences: new Map(sequences),
  doubts: new Map(doubts),
  suspects: new Map(suspects),
});
