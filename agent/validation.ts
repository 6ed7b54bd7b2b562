/** Bodies that are not right are answered as stock FastAPI does: 422 with a list (docs/wire.md#the-agent). */
import type { z } from 'zod';
import { jsonEncodingProblem } from '../fleet/encoding.ts';
import { NO_INTEGER } from '../fleet/wire.ts';

/** One entry of the list. `loc` begins with `body`. */
export interface ValidationDetail {
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
