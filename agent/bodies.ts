/**
 * The bodies that the agent takes.
 *
 * 1. Their schemas: those of the wire with what an agent refuses, and the defaults of DECNET's models.
 * 2. From a body to an order of the queue.
 * 3. The answer to a body that is not right: 422 with a list, as stock FastAPI has it (docs/wire.md#the-agent).
 */

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { OrderFence } from '../fleet/agent-wire.ts';
import { jsonEncodingProblem } from '../fleet/encoding.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { assertDeckyName } from '../fleet/names.ts';
import {
  AgentDeployBody,
  AgentMutateBody,
  AgentTeardownBody,
  DeployOrder,
  NO_INTEGER,
  ReceivedDecnetConfig,
  StrictDeckyConfig,
} from '../fleet/wire.ts';
import type { DeployOrderRecord, MutateOrderRecord, TeardownOrderRecord, Timing } from './state.ts';

/** A name that no decky can have never becomes a file, a container or a key. */
const deckyName = z.string().refine((name) => {
  try {
    assertDeckyName(name);
    return true;
  } catch {
    return false;
  }
}, 'no decky can have this name');

const config = ReceivedDecnetConfig.extend({
  deckies: z
    .array(StrictDeckyConfig.extend({ name: deckyName }))
    .min(1)
    .refine((deckies) => new Set(deckies.map(({ name }) => name)).size === deckies.length, 'a name stands there twice'),
});
const custom_services = DeployOrder.shape.custom_services.default({});

export const deployBody = AgentDeployBody.extend({
  config,
  dry_run: z.boolean().default(false),
  no_cache: z.boolean().default(false),
  deckhand: DeployOrder.extend({ stopped: z.array(z.string()).default([]), custom_services }).optional(),
});

export const mutateBody = AgentMutateBody.extend({
  dry_run: z.boolean().default(false),
  deckhand: AgentMutateBody.shape.deckhand.unwrap().extend({ custom_services }).optional(),
});

export const teardownBody = AgentTeardownBody.extend({ decky_id: z.string().nullable().default(null) });

type DeployBody = z.infer<typeof deployBody>;
type MutateBody = z.infer<typeof mutateBody>;
type TeardownBody = z.infer<typeof teardownBody>;

// 2. From a body to an order of the queue

/** As a schema gives it. */
type Given = Pick<OrderFence, 'operation_id' | 'attempt'> & { readonly ticket?: number | undefined };

/** A master of DECNET sends no fence: each of its orders is an operation of its own. */
const fenceOf = (given: Given | undefined, now: Date) => ({
  operation_id: given?.operation_id ?? randomUUID(),
  attempt: given?.attempt ?? 1,
  ...(given?.ticket === undefined ? {} : { ticket: given.ticket }),
  fenced: given !== undefined,
  accepted_at: now.toISOString(),
});

interface WireTiming {
  readonly min_healthy_time_ms: number;
  readonly healthy_deadline_ms: number;
  readonly progress_deadline_ms: number;
}

const timingOf = (given: WireTiming | undefined): Timing => ({
  minHealthyMs: given?.min_healthy_time_ms ?? ROLLOUT_DEFAULTS.minHealthyTimeMs,
  healthyDeadlineMs: given?.healthy_deadline_ms ?? ROLLOUT_DEFAULTS.healthyDeadlineMs,
  progressDeadlineMs: given?.progress_deadline_ms ?? ROLLOUT_DEFAULTS.progressDeadlineMs,
});

export function deployOrder({ config, deckhand }: DeployBody, now: Date): DeployOrderRecord {
  const fence = fenceOf(deckhand, now);
  return {
    kind: 'deploy',
    ...fence,
    key: fence.operation_id,
    config,
    deploy: deckhand?.deploy ?? config.deckies.map(({ name }) => name),
    remove: deckhand?.remove ?? [],
    stopped: deckhand?.stopped ?? [],
    custom_services: deckhand?.custom_services ?? {},
    timing: timingOf(deckhand),
  };
}

export function mutateOrder({ decky_id, services, deckhand }: MutateBody, now: Date): MutateOrderRecord {
  const fence = fenceOf(deckhand, now);
  const given = deckhand?.custom_services ?? {};
  const custom_services = Object.hasOwn(given, decky_id) ? (given[decky_id] ?? null) : null;
  return {
    kind: 'mutate',
    ...fence,
    // As a deploy of the same operation, so that one recalls it.
    key: fence.operation_id,
    decky_id,
    services,
    custom_services,
    timing: timingOf(deckhand),
  };
}

/** An operation that takes down one decky here may also deploy to this host: the two have attempts of their own. */
export function teardownOrder({ decky_id, deckhand }: TeardownBody, now: Date): TeardownOrderRecord {
  const fence = fenceOf(deckhand, now);
  const key = decky_id === null ? fence.operation_id : `${fence.operation_id}/teardown/${decky_id}`;
  return { kind: 'teardown', ...fence, key, decky_id };
}

// 3. The answer to a body that is not right

/** One entry of the list. `loc` begins with `body`. */
interface ValidationDetail {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: { readonly error: string };
}

export class InvalidBody extends Error {
  override readonly name = 'InvalidBody';
  readonly detail: readonly ValidationDetail[];
  constructor(detail: readonly ValidationDetail[]) {
    super('the body is not right');
    this.detail = detail;
  }
}

const KINDS: Readonly<Record<string, readonly [type: string, msg: string]>> = {
  string: ['string_type', 'Input should be a valid string'],
  number: ['float_type', 'Input should be a valid number'],
  boolean: ['bool_type', 'Input should be a valid boolean'],
  array: ['list_type', 'Input should be a valid list'],
  object: ['model_attributes_type', 'Input should be a valid dictionary or object to extract fields from'],
  record: ['dict_type', 'Input should be a valid dictionary'],
};

type Issue = z.core.$ZodIssue;

function kindOf(issue: Issue): readonly [type: string, msg: string] {
  if (issue.message === NO_INTEGER) return ['int_type', NO_INTEGER];
  if (issue.code === 'invalid_type') return KINDS[issue.expected] ?? ['value_error', issue.message];
  if (issue.code === 'invalid_value')
    return ['literal_error', `Input should be ${issue.values.map((value) => `'${String(value)}'`).join(' or ')}`];
  if (issue.code === 'too_small' && issue.origin === 'array')
    return ['too_short', `List should have at least ${issue.minimum} item after validation`];
  return ['value_error', issue.message];
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key], value);

function detailsOf(issue: Issue, body: unknown): ValidationDetail[] {
  const loc = ['body', ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      type: 'extra_forbidden',
      loc: [...loc, key],
      msg: 'Extra inputs are not permitted',
      input: at(body, [...issue.path, key]),
    }));
  const parent = at(body, issue.path.slice(0, -1));
  const last = issue.path.at(-1);
  const isMissing = last !== undefined && typeof parent === 'object' && parent !== null && !(last in parent);
  if (isMissing) return [{ type: 'missing', loc, msg: 'Field required', input: parent }];
  const [type, msg] = kindOf(issue);
  return [{ type, loc, msg, input: at(body, issue.path) }];
}

const invalidJson = (position: number, ctx?: ValidationDetail['ctx']): InvalidBody =>
  new InvalidBody([
    { type: 'json_invalid', loc: ['body', position], msg: 'JSON decode error', input: {}, ...(ctx && { ctx }) },
  ]);

/** Throws InvalidBody. */
export function readBody<T extends z.ZodType>(schema: T, bytes: Uint8Array): z.infer<T> {
  if (bytes.length === 0)
    throw new InvalidBody([{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }]);
  const encoding = jsonEncodingProblem(bytes);
  if (encoding !== null) throw invalidJson(encoding.offset, { error: encoding.sentence });
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw invalidJson(0);
  }
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new InvalidBody(result.error.issues.flatMap((issue) => detailsOf(issue, body)));
}
