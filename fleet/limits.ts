/** Defaults and limits (design, section 7). Names are those that operators know from Nomad. */
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
  minHealthyTimeMs: 3_000,
  healthyDeadlineMs: 300_000,
  progressDeadlineMs: 600_000,
  hostLostAfterMs: 90_000,
});

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `"3s"`, `"5m"`, `"500ms"`, `"1h"` or `0` → milliseconds; anything else is InvalidParameters. */
export function parseDuration(value: string | number, name: string): number {
  if (value === 0 || value === '0') return 0;
  const match = typeof value === 'string' ? /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(value.trim()) : null;
  if (!match)
    throw new DeckhandError(
      'InvalidParameters',
      `${name}: ${JSON.stringify(value)} is no duration; write it as "3s", "5m" or 0`,
    );
  return Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0));
}
