/** Building blocks of the OpenAPI description that routes share, and its examples. */
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

/**
 * Node's own answer, before any of ours sees the request: 200 ids of a lifecycle query may be that
 * long.
 */
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

/** Examples for the OpenAPI description. */
export const ROW_ID = '4dd02dd6-7b2c-4b35-9a53-0f4b7c1c9f5e';
const DEPLOYMENT_ID = 'b1f6c5c7-3a51-4a3f-8f0a-5a2f3f8b6f11';
const USER_ID = '0c6f6c0e-6a3a-4f0e-9d5b-2a1f1d3e4c5b';
const STARTED = '2026-11-23T19:00:37.601031Z';
const ENDED = '2026-11-23T19:00:41.118004Z';

const row = {
  id: ROW_ID,
  decky_name: 'web-01',
  host_uuid: null,
  operation: 'deploy',
  status: 'failed',
  error: 'ContainerExited: web-01-ssh exited with code 1. Last lines: sshd: no hostkeys available',
  started_at: STARTED,
  updated_at: ENDED,
  completed_at: ENDED,
};

const deployment = {
  deployment_id: DEPLOYMENT_ID,
  kind: 'deploy',
  state: 'accepted',
  outcome: 'failed',
  username: 'admin',
  created_at: STARTED,
  ended_at: ENDED,
  counts: { pending: 0, running: 0, succeeded: 0, failed: 1 },
};

const mending = { decky_name: 'web-01', host_uuid: null, action: 'deploy', reasons: ['missing'] };

export const EXAMPLES = Object.freeze({
  drift: {
    drift: [
      {
        decky_name: 'web-01',
        host_uuid: null,
        host_name: null,
        reason: 'missing',
        detail: 'web-01-ssh: it is missing',
        since: STARTED,
      },
    ],
    unknown: [],
    reconcile_interval: null,
  },
  cancelled: {
    message: 'Cancellation asked for; 1 row(s) were open.',
    deployment_id: DEPLOYMENT_ID,
    lifecycle_ids: [ROW_ID],
  },
  nothingDrifts: { message: 'Nothing drifts.', mending: [], unknown: [] },
  reconcile: {
    message: 'Reconcile accepted (1 decky/ies).',
    deployment_id: DEPLOYMENT_ID,
    lifecycle_ids: [ROW_ID],
    mending: [mending],
    unknown: [],
  },
  token: { access_token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…', token_type: 'bearer', must_change_password: false },
  passwordChange: { old_password: 'correct-horse-battery', new_password: 'another-long-password' },
  ticket: { ticket: 'mJ0oV0m8k1cD2xkq0y8mE9Yk8oJ3t7m0j5o9g2V1b6A', expires_in: 60 },
  newUser: { username: 'vera', password: 'viewer-password-1', role: 'viewer' },
  user: { uuid: USER_ID, username: 'vera', role: 'viewer', must_change_password: true },
  newPassword: { new_password: 'another-password-1' },
  rows: { rows: [row] },
  deckies: [
    {
      name: 'web-01',
      ip: '10.77.0.20',
      services: ['http', 'ssh'],
      distro: 'debian',
      base_image: 'debian:bookworm-slim',
      build_base: 'debian:bookworm-slim',
      hostname: 'SRV-KILO-29',
      archetype: null,
      service_config: {},
      nmap_os: 'linux',
      mutate_interval: null,
      last_mutated: 0,
      last_login_attempt: 0,
      host_uuid: null,
    },
  ],
  deployments: { deployments: [deployment], next_cursor: null },
  deployment: {
    ...deployment,
    waiting_for: null,
    warnings: [],
    refusal: null,
    rows: [{ ...row, host_name: null, step: null, attempt: 1 }],
  },
  fleet: {
    network: { driver: 'macvlan', interface: 'eth0', subnet: '10.77.0.0/24', gateway: '10.77.0.1' },
    simulated: false,
    deckies: [
      {
        name: 'web-01',
        ip: '10.77.0.20',
        services: ['http', 'ssh'],
        hostname: 'SRV-KILO-29',
        archetype: null,
        host_uuid: null,
        host_name: null,
        state: 'running',
        drift: [],
        last_error: null,
        established: true,
        open: null,
        updated_at: ENDED,
      },
    ],
  },
  ready: { status: 'ready', checks: { startup: 'ok', postgres: 'ok', temporal: 'ok', nats: 'ok' } },
  notReady: {
    status: 'not ready',
    checks: { startup: 'ok', postgres: 'ok', temporal: 'No answer within 2 s', nats: 'ok' },
  },
});
