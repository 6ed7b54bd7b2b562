/** Defaults and limits. Names are those that operators know from Nomad; durations are in durations.ts. */
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
