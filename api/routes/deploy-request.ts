/** The body of a deploy: closed, as DECNET's, with rollout options of our own (docs/wire.md#deploy). */
import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import { DURATION_PATTERN, DURATIONS, type DurationName, durationText, rangeOf } from '../../fleet/durations.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { LIMITS, parseRollout, type RolloutOptions } from '../../fleet/limits.ts';

const TRUE = ['1', 'on', 't', 'true', 'y', 'yes'];
const FALSE = ['0', 'off', 'f', 'false', 'n', 'no'];

/** What pydantic takes for a bool: true, 1, "yes" and the like in any case; not null, not "banana". */
const laxBoolean = z
  .union([z.boolean(), z.literal([0, 1]), z.string()])
  .transform((value) => String(value).toLowerCase())
  .pipe(z.enum([...TRUE, ...FALSE]))
  .transform((word) => TRUE.includes(word));

/**
 * A duration of a body or a query. Whatever stands there is taken here and judged by {@link rolloutOptions}, so that the
 * refusal is a sentence that names the field and its range.
 */
const duration = (name: DurationName, description: string) => {
  const { zero, usual } = DURATIONS[name];
  const range = `${rangeOf(name)}; left out: what the master was started with, else ${durationText(usual)}.`;
  return z
    .unknown()
    .optional()
    .openapi({
      type: 'string',
      pattern: `${zero === null ? '' : '^0$|'}${DURATION_PATTERN.source}`,
      description: `${description} ${range}`,
      example: durationText(usual),
    });
};

export const HostLostAfter = duration(
  'host_lost_after',
  'After how long without a sign of life a host counts as lost.',
);

export const DeployBody = z
  .strictObject({
    ini_content: z
      .string()
      .max(LIMITS.iniCharacters)
      .openapi({ description: 'The fleet as INI; at least one section.', example: '[web-01]\nservices=http,ssh\n' }),
    replace_fleet: laxBoolean.default(false).openapi({
      type: 'boolean',
      default: false,
      description: 'true: the fleet becomes this one, and what it does not name is taken down. false: it is added.',
    }),
    max_parallel: z
      .number()
      .int()
      .min(1)
      .max(LIMITS.deploymentLimitMax)
      .optional()
      .openapi({ description: 'Hosts that are worked on at the same time.' }),
    min_healthy_time: duration(
      'min_healthy_time',
      'How long containers have to stay up; not longer than healthy_deadline.',
    ),
    healthy_deadline: duration('healthy_deadline', 'Until when a decky has to be healthy, from its first container.'),
    progress_deadline: duration('progress_deadline', 'How long nothing may move.'),
    host_lost_after: HostLostAfter,
  })
  .openapi('DeployRequest');

export type DeployBody = z.infer<typeof DeployBody>;

/** Only what the request sets. Throws InvalidParameters for a duration that the table does not have. */
export const rolloutOptions = (body: DeployBody): Partial<RolloutOptions> => ({
  ...(body.max_parallel === undefined ? {} : { maxParallel: body.max_parallel }),
  ...parseRollout(body),
});

/** Throws InvalidParameters for a duration that the table does not have. */
export const lostAfter = (value: unknown): Partial<RolloutOptions> => parseRollout({ host_lost_after: value });

/** 1 to 255 printable ASCII characters; HTTP takes spaces off both ends. */
const IDEMPOTENCY_KEY = /^[!-~]([ -~]{0,253}[!-~])?$/;

/** Only described here: {@link assertIdempotencyKey} says in a sentence what is wrong with one. */
export const IdempotencyKey = z
  .string()
  .optional()
  .openapi({ description: 'Kept for 24 hours, per user.', pattern: IDEMPOTENCY_KEY.source });

/** Throws InvalidParameters for a key that a header can't carry. */
export function assertIdempotencyKey(key: string): void {
  if (!IDEMPOTENCY_KEY.test(key))
    throw new DeckhandError('InvalidParameters', 'Idempotency-Key: 1 to 255 printable ASCII characters are needed');
}

/** Printable ASCII, as a header can carry it; null without one. */
export function idempotencyOf(
  key: string | undefined,
  body: DeployBody,
): { readonly key: string; readonly body_hash: string } | null {
  if (key === undefined) return null;
  assertIdempotencyKey(key);
  const fields = Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
  return { key, body_hash: createHash('sha256').update(JSON.stringify(fields)).digest('hex') };
}
