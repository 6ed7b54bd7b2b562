/** Building blocks of the OpenAPI description, shared by the routes. */
import { z } from '@hono/zod-openapi';
import { TEXT } from './errors.ts';

export const PREFIX = '/api/v1';

export const ErrorBody = z
  .object({ detail: z.string().openapi({ description: 'What was wrong, and what to do.' }) })
  .openapi('Error', { description: 'The code of docs/errors.md stands in the header Deckhand-Error-Code.' });

export const Message = z.object({ message: z.string() });

/** A JSON body of a request or an answer. */
export const json = <T extends z.ZodType>(schema: T, example?: unknown) => ({
  'application/json': example === undefined ? { schema } : { schema, example },
});

const MEANINGS = {
  400: ['The structure is wrong: a field is missing, unknown, no string, or too short.', TEXT.structure],
  401: ['No token, or one that is invalid, expired or revoked.', TEXT.unauthenticated],
  403: ['The role does not allow it, or the password has to be changed first.', TEXT.forbidden],
  404: ['There is no such thing.', TEXT.noDeployment],
  409: [
    'It can’t be done as things are; the sentence says why.',
    'IP 10.77.0.20 is already in use by an existing decky',
  ],
  422: ['A value is out of range, or the JSON can’t be read.', TEXT.invalidParameters],
  503: [
    'PostgreSQL or Temporal is out of reach; Retry-After says when to try again.',
    'PostgreSQL can’t be reached. Nothing was done; try again.',
  ],
} as const;

type ErrorStatus = keyof typeof MEANINGS;
interface ErrorResponse {
  description: string;
  content: { 'application/json': { schema: typeof ErrorBody; example: { detail: string } } };
}

/** Node's own answer, before any of ours sees the request: 200 ids of a lifecycle query may be that long. */
const HEADERS_TOO_LARGE = {
  431: { description: 'Address and headers together are larger than 16 KiB. No body; the connection is closed.' },
} as const;

/** The answers other than success; 431 and 503 are always among them. */
export function refusals<S extends ErrorStatus>(
  ...statuses: S[]
): Record<S | 503, ErrorResponse> & typeof HEADERS_TOO_LARGE {
  const entries = ([...statuses, 503] as const).map((status) => {
    const [description, detail] = MEANINGS[status];
    return [status, { description, content: { 'application/json': { schema: ErrorBody, example: { detail } } } }];
  });
  return { ...HEADERS_TOO_LARGE, ...Object.fromEntries(entries) };
}

export const unsupportedMediaType = {
  415: {
    description: 'A body that is not announced as JSON.',
    content: { 'text/plain': { schema: z.string(), example: TEXT.mediaType } },
  },
};

export const tooManyAttempts = {
  429: {
    description: 'Too many wrong passwords; Retry-After says how long to wait.',
    content: json(ErrorBody.extend({ error: z.string() }), {
      error: 'Too many attempts. Try again in 42 s.',
      detail: 'Too many attempts. Try again in 42 s.',
    }),
  },
};
