/**
 * 422 as stock FastAPI says it: a list of what is wrong (docs/wire.md#the-swarm-controller). Made
 * from zod's issues, or by hand on the busy path.
 */
import type { Context } from 'hono';
import type { z } from 'zod';
import { jsonEncodingProblem } from '../../fleet/encoding.ts';
import { isObject } from '../../fleet/host-observation.ts';
import type { ApiEnv } from '../environment.ts';

export interface Problem {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: Readonly<Record<string, unknown>>;
}

export class Unprocessable extends Error {
  override readonly name = 'Unprocessable';
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super('the body does not fit');
    this.problems = problems;
  }
}

const KINDS: Readonly<Record<string, readonly [type: string, msg: string]>> = {
  string: ['string_type', 'Input should be a valid string'],
  number: ['float_type', 'Input should be a valid number'],
  int: ['int_type', 'Input should be a valid integer'],
  boolean: ['bool_type', 'Input should be a valid boolean'],
  array: ['list_type', 'Input should be a valid list'],
  object: ['dict_type', 'Input should be a valid dictionary'],
  record: ['dict_type', 'Input should be a valid dictionary'],
};

/** The problem of a value that is not of its kind. */
export function wrongKind(
  kind: keyof typeof KINDS & string,
  loc: readonly (string | number)[],
  input: unknown,
): Problem {
  const [type, msg] = KINDS[kind] ?? ['value_error', 'Value error'];
  return { type, loc, msg, input };
}

export const missing = (loc: readonly (string | number)[], input: unknown): Problem => ({
  type: 'missing',
  loc,
  msg: 'Field required',
  input,
});

/** Reads and parses the body. Throws {@link Unprocessable}. */
export async function readJson(c: Context<ApiEnv>): Promise<unknown> {
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.length === 0) throw new Unprocessable([missing(['body'], null)]);
  const encoding = jsonEncodingProblem(bytes);
  if (encoding !== null) throw new Unprocessable([invalidJson(encoding.offset, encoding.sentence)]);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new Unprocessable([syntaxProblem(error)]);
  }
}

const invalidJson = (position: number, error: string): Problem => ({
  type: 'json_invalid',
  loc: ['body', position],
  msg: 'JSON decode error',
  input: {},
  ctx: { error },
});

/** V8's words in Python's, as far as they go. */
function syntaxProblem(error: unknown): Problem {
  const message = error instanceof Error ? error.message : '';
  const position = Number(/position (\d+)/.exec(message)?.[1] ?? 0);
  const words = message.startsWith('Expected property name')
    ? 'Expecting property name enclosed in double quotes'
    : message.startsWith("Expected ','")
      ? "Expecting ',' delimiter"
      : message.startsWith("Expected ':'")
        ? "Expecting ':' delimiter"
        : 'Expecting value';
  return invalidJson(position, words);
}

export const notAnObject = (input: unknown): Problem => ({
  type: 'model_attributes_type',
  loc: ['body'],
  msg: 'Input should be a valid dictionary or object to extract fields from',
  input,
});

/** The body as the schema has it. Throws {@link Unprocessable}. */
export async function parseBody<T extends z.ZodType>(c: Context<ApiEnv>, schema: T): Promise<z.infer<T>> {
  const body = await readJson(c);
  if (!isObject(body)) throw new Unprocessable([notAnObject(body)]);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new Unprocessable(result.error.issues.map((issue) => problemOf(issue, body)));
}

function problemOf(issue: z.core.$ZodIssue, body: unknown): Problem {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  const loc = ['body', ...path];
  const input = at(body, path);
  if (input === undefined) return missing(loc, at(body, path.slice(0, -1)));
  switch (issue.code) {
    case 'invalid_type':
      return wrongKind(issue.expected, loc, input);
    case 'invalid_format':
      return pattern(issue, loc, input);
    case 'too_small':
      return bound(issue.origin, 'min', issue.minimum, loc, input);
    case 'too_big':
      return bound(issue.origin, 'max', issue.maximum, loc, input);
    case 'unrecognized_keys':
      return {
        type: 'extra_forbidden',
        loc: [...loc, issue.keys[0] ?? ''],
        msg: 'Extra inputs are not permitted',
        input,
      };
    default:
      return { type: 'value_error', loc, msg: issue.message, input };
  }
}

function pattern(issue: z.core.$ZodIssueInvalidStringFormat, loc: Problem['loc'], input: unknown): Problem {
  const text = (issue.pattern ?? '').replace(/^\/(.*)\/[a-z]*$/s, '$1');
  return {
    type: 'string_pattern_mismatch',
    loc,
    msg: `String should match pattern '${text}'`,
    input,
    ctx: { pattern: text },
  };
}

function bound(
  origin: string,
  side: 'min' | 'max',
  limit: number | bigint,
  loc: Problem['loc'],
  input: unknown,
): Problem {
  const least = side === 'min';
  if (origin === 'string')
    return {
      type: least ? 'string_too_short' : 'string_too_long',
      loc,
      msg: `String should have at ${least ? 'least' : 'most'} ${limit} character${limit === 1 ? '' : 's'}`,
      input,
      ctx: { [least ? 'min_length' : 'max_length']: Number(limit) },
    };
  if (origin === 'array')
    return {
      type: least ? 'too_short' : 'too_long',
      loc,
      msg: `List should have at ${least ? 'least' : 'most'} ${limit} item${limit === 1 ? '' : 's'} after validation`,
      input,
      ctx: { field_type: 'List', [least ? 'min_length' : 'max_length']: Number(limit) },
    };
  return {
    type: least ? 'greater_than_equal' : 'less_than_equal',
    loc,
    msg: `Input should be ${least ? 'greater' : 'less'} than or equal to ${limit}`,
    input,
    ctx: { [least ? 'ge' : 'le']: Number(limit) },
  };
}

function at(value: unknown, path: readonly (string | number)[]): unknown {
  let here = value;
  for (const key of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = Reflect.get(here, key);
  }
  return here;
}
