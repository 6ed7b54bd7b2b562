/**
 * Defaults and limits. Names are those that operators know from Nomad; durations are in durations.ts.
 *
 * 1. {@link LIMITS}: counts and sizes.
 * 2. {@link RolloutOptions}: what a request may set, its defaults, and how it is read.
 * 3. {@link attemptBoundMs}: how long one attempt may take.
 * 4. {@link inBatches}: lists that fit into one payload of Temporal.
 * 5. {@link mostEvents}: how long a workflow's history can become.
 */
import { boundedDuration, DURATIONS, durationText, parseDuration } from './durations.ts';
import { DeckhandError } from './errors.ts';

export const LIMITS = Object.freeze({
  /** Local deckies on their way up at the same time. */
  localParallel: 12,
  /** Local deckies per child workflow; keeps `DeckyName` under the 2,048 bytes of a search attribute. */
  localChunk: 50,
  iniCharacters: 512 * 1024,
  amountPerSection: 100,
  deploymentLimit: 10,
  deploymentLimitEmbedded: 100,
  deploymentLimitMax: 10_000,
  lifecycleIdsPerQuery: 200,
});

/** What a request may set; all in milliseconds but `maxParallel`, a count of hosts (null: 25 %, at least 8). */
export interface RolloutOptions {
  readonly maxParallel: number | null;
  readonly minHealthyTimeMs: number;
  readonly healthyDeadlineMs: number;
  readonly progressDeadlineMs: number;
  readonly hostLostAfterMs: number;
}

export const ROLLOUT_DEFAULTS: RolloutOptions = Object.freeze({
  maxParallel: null,
  minHealthyTimeMs: DURATIONS.min_healthy_time.usual,
  healthyDeadlineMs: DURATIONS.healthy_deadline.usual,
  progressDeadlineMs: DURATIONS.progress_deadline.usual,
  hostLostAfterMs: DURATIONS.host_lost_after.usual,
});

/** The rollout options that are durations, with their names in the table of durations. */
export const ROLLOUT_DURATIONS = Object.freeze([
  ['minHealthyTimeMs', 'min_healthy_time'],
  ['healthyDeadlineMs', 'healthy_deadline'],
  ['progressDeadlineMs', 'progress_deadline'],
  ['hostLostAfterMs', 'host_lost_after'],
] as const);

/** Parses what is given of the durations, each by its name in the table. Throws InvalidParameters. */
export function parseRollout(
  given: Readonly<Partial<Record<(typeof ROLLOUT_DURATIONS)[number][1], unknown>>>,
): Partial<RolloutOptions> {
  const parsed = ROLLOUT_DURATIONS.flatMap(([option, name]) =>
    given[name] === undefined ? [] : [[option, parseDuration(given[name], name)] as const],
  );
  return Object.fromEntries(parsed);
}

/** Why no decky could ever succeed with these, to be said of `min_healthy_time`; null where it could. */
export function unmeetable(
  options: { readonly minHealthyTimeMs?: number | undefined; readonly healthyDeadlineMs?: number | undefined },
  nameOf: (name: string) => string = String,
): string | null {
  const minMs = options.minHealthyTimeMs ?? ROLLOUT_DEFAULTS.minHealthyTimeMs;
  const deadlineMs = options.healthyDeadlineMs ?? ROLLOUT_DEFAULTS.healthyDeadlineMs;
  if (minMs <= deadlineMs) return null;
  const [min, deadline] = [nameOf('min_healthy_time'), nameOf('healthy_deadline')];
  return `${durationText(minMs)} is longer than ${deadline} (${durationText(deadlineMs)}), so that no decky could succeed. Write a shorter ${min} or a longer ${deadline}.`;
}

/** What a request gives, over what the master was started with. Throws InvalidParameters for durations that can't both be met. */
export function rolloutWith(
  defaults: Partial<RolloutOptions>,
  given: Partial<RolloutOptions>,
): Partial<RolloutOptions> {
  const options = { ...defaults, ...given };
  const why = unmeetable(options);
  if (why !== null) throw new DeckhandError('InvalidParameters', `min_healthy_time: ${why}`);
  return options;
}

/** Options as they were stored. What an earlier version took, or somebody wrote by hand, comes out within the table. */
export function boundedRollout(stored: Partial<RolloutOptions> | null | undefined): RolloutOptions {
  const { maxParallel = null } = stored ?? {};
  const isCount = typeof maxParallel === 'number' && maxParallel >= 1;
  const durations = ROLLOUT_DURATIONS.map(
    ([option, name]) => [option, boundedDuration(stored?.[option], name)] as const,
  );
  return {
    ...ROLLOUT_DEFAULTS,
    maxParallel: isCount ? Math.min(Math.floor(maxParallel), LIMITS.deploymentLimitMax) : null,
    ...Object.fromEntries(durations),
  };
}

/** How long one attempt on a decky may take at most, however often something moves. Master and agent know the same bound. */

/** A slow pull or build moves again and again. It has this many times `progress_deadline`. */
const LONGEST_PROGRESS = 6;
/** For the calls and the reports in between. */
const GRACE_MS = 60_000;
/** Deckies that an agent brings up at one time. */
const AT_ONCE = 12;

export interface Deadlines {
  readonly progressDeadlineMs: number;
  readonly healthyDeadlineMs: number;
}

/** Of bringing one decky's containers up, before they are waited for. */
export const bringUpBoundMs = ({ progressDeadlineMs }: Pick<Deadlines, 'progressDeadlineMs'>): number =>
  LONGEST_PROGRESS * progressDeadlineMs;

/** Of one order, from its dispatch. An agent removes first, and brings up twelve deckies at a time. */
export function attemptBoundMs(deadlines: Deadlines, deckies: number): number {
  const rounds = 1 + Math.ceil(deckies / AT_ONCE);
  return rounds * (bringUpBoundMs(deadlines) + deadlines.healthyDeadlineMs) + GRACE_MS;
}

/** Lists that go through Temporal are cut: a payload may have 2 MiB, and a list of errors has no other bound. */

/** Bytes of a batch at most: a quarter of what Temporal takes, and what it warns of. */
export const BATCH_BYTES = 512 * 1024;

/** What a value weighs in a payload. */
export const weightOf = (value: unknown): number => {
  const text = JSON.stringify(value) ?? '';
  let bytes = text.length;
  for (const { length } of text.match(/[^\0-\x7f]+/g) ?? []) bytes += 2 * length;
  return bytes;
};

/** How many of the first items go into one batch: at most `most`, and no more than {@link BATCH_BYTES} unless one alone weighs more. */
export function fitting(items: readonly unknown[], most: number): number {
  let bytes = 2;
  let count = 0;
  for (const item of items) {
    bytes += weightOf(item) + 1;
    if (count > 0 && (bytes > BATCH_BYTES || count >= most)) break;
    count += 1;
  }
  return count;
}

/** The items in their order, in batches that {@link fitting} allows. */
export function inBatches<T>(items: readonly T[], most: number): T[][] {
  const batches: T[][] = [];
  for (let rest = items; rest.length > 0; ) {
    const count = fitting(rest, most);
    batches.push(rest.slice(0, count));
    rest = rest.slice(count);
  }
  return batches;
}

/**
 * How long a workflow's history can become. Temporal ends a workflow at 51,200 events and warns at 10,240; here no request that
 * is accepted makes more than {@link MOST_EVENTS} in one run. What has more parts than fit is done by children.
 * Each number is the worst case: every event that comes in costs a workflow task of its own.
 */

export const MOST_EVENTS = 10_000;

const TASK = 3;
const CHILD = 3 + 2 * TASK;
const ACTIVITY = 3 + TASK;
const SIGNAL_RECEIVED = 1 + TASK;
const SIGNAL_SENT = 2 + TASK;

/** A part whose child was ended by somebody: its rows are read, who has them is asked, and they are written. */
const PART = CHILD + 3 * ACTIVITY;
/** A host gives its slot back, asks for one, and gets it. */
const SLOT_CYCLE = 2 * SIGNAL_RECEIVED + SIGNAL_SENT;
/** A group of hosts that was ended by somebody: one activity ends its rows. */
const GROUP = CHILD + ACTIVITY;
/** Acceptance, lanes, the end, and what a deployment does in place for few. */
const OWN = 1_500;

/** A host that comes and goes without end keeps its slot after so many returns. */
export const MOST_YIELDS = 20;
/** Parts (local children and hosts) that one workflow has as children; with more, its hosts are done by groups. */
export const HOSTS_PER_GROUP = 200;
/** Deckies that a move takes down by itself; with more, children of so many each do. */
export const LEAVING_IN_PLACE = 100;
export const LEAVING_PER_CHILD = 1_000;
/** Local parts whose rows a deployment ends by itself where the network can't be made; with more, a child each does. */
export const KEPT_IN_PLACE = 4;

/**
 * From this length on a slot is granted for good. Whoever got one before may give it back once more, and that still fits. Else a
 * host that comes and goes would add to its parent's history as often as it does.
 */
export const grantsForGoodFrom = (parts: number): number =>
  Math.max(0, MOST_EVENTS - OWN - parts * (PART + SLOT_CYCLE));

const ofParts = (local: number, hosts: number): number => {
  const base = OWN + local * PART + hosts * PART;
  const asked = base + hosts * MOST_YIELDS * SLOT_CYCLE;
  return Math.min(asked, grantsForGoodFrom(local + hosts) + base + hosts * SLOT_CYCLE);
};

/** The longest histories of a deployment with so many local children and hosts. */
export function mostEvents(local: number, hosts: number): { readonly deployment: number; readonly group: number } {
  if (local + hosts <= HOSTS_PER_GROUP) return { deployment: ofParts(local, hosts), group: 0 };
  const groups = Math.ceil(hosts / HOSTS_PER_GROUP);
  return {
    deployment: OWN + local * PART + groups * GROUP,
    group: ofParts(0, Math.min(hosts, HOSTS_PER_GROUP)),
  };
}

/** The longest history of a child that takes leaving deckies down. */
export const mostLeavingEvents = (deckies: number): number => CHILD + Math.min(deckies, LEAVING_PER_CHILD) * ACTIVITY;
