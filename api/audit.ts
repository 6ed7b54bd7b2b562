/**
 * Writes the audit. The guard opens an entry once it knows who asks, before anything changes. The
 * entry is completed when the answer stands. Requests without a guard (a login, a host that joins
 * or renews) get theirs afterwards. The second part names the fields that may stand in an entry.
 */
import type { Context, MiddlewareHandler } from 'hono';
import type { AuditStore, Fields, NewAuditEntry, Subject, SubjectKind } from '../adapters/postgres/audit.ts';
import type { ApiEnv } from './environment.ts';
import { ERROR_CODE_HEADER } from './errors.ts';
import { addressOf } from './peer.ts';

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** A heartbeat reports facts, each host's every half minute; a ticket for events changes nothing. */
const UNAUDITED = new Set(['/swarm/heartbeat', '/api/v1/auth/sse-ticket']);
const LOGIN = '/api/v1/auth/login';
/** Without a guard, and audited all the same. */
const OPEN = new Set([LOGIN, '/swarm/join', '/swarm/renew']);
/**
 * Refusals of these that say nothing of a credential, or that anybody can make without end, leave
 * no entry.
 */
const QUIET = new Set([400, 413, 415, 422, 429, 503]);
const LONGEST_PATH = 300;

const jsonOf = (read: Promise<unknown>): Promise<unknown> => read.catch(() => null);

async function answerOf(c: Context<ApiEnv>): Promise<Fields> {
  const deployment = c.res.headers.get('deckhand-deployment-id');
  const isJson = c.res.headers.get('content-type')?.includes('json') === true;
  const body = isJson && c.res.status < 400 ? answerFields(await jsonOf(c.res.clone().json())) : {};
  return deployment === null ? body : { ...body, deployment_id: deployment };
}

async function entryOf(
  c: Context<ApiEnv>,
  listener: NewAuditEntry['listener'],
  { username, request }: Pick<NewAuditEntry, 'username' | 'request'>,
): Promise<NewAuditEntry> {
  const path = c.req.path.slice(0, LONGEST_PATH).replaceAll('\0', '');
  return {
    listener,
    username,
    peer: addressOf(c),
    requestId: c.var.requestId,
    method: c.req.method,
    path,
    subject: subjectOf(path),
    request,
  };
}

interface AuditParts {
  readonly store: AuditStore;
  readonly listener: NewAuditEntry['listener'];
  /** The name, where there is such a user: people type passwords into the wrong field. */
  readonly knownUser: (username: string) => Promise<string | null>;
}

async function whoAsked(c: Context<ApiEnv>, { knownUser }: AuditParts): Promise<string | null> {
  if (c.req.path !== LOGIN) return null;
  const { username } = ((await jsonOf(c.req.json())) ?? {}) as { username?: unknown };
  return typeof username === 'string' && !username.includes('\0') ? knownUser(username) : null;
}

export function audit(parts: AuditParts | undefined): MiddlewareHandler<ApiEnv> {
  return async function audit(c, next) {
    if (!parts || READS.has(c.req.method) || UNAUDITED.has(c.req.path)) return next();
    const { store, listener } = parts;
    let begun: string | null = null;
    c.set('auditBegins', async (username) => {
      const request = requestFields(await jsonOf(c.req.json()));
      begun = await store.begin(await entryOf(c, listener, { username, request }));
    });
    await next();
    const { status } = c.res;
    const isOpen = OPEN.has(c.req.path) && !QUIET.has(status);
    if (begun === null && !isOpen) return;
    try {
      // A request of somebody unknown leaves none of its fields: they could be anything, of any
      // size, again and again.
      const stranger = async () => ({ username: await whoAsked(c, parts), request: {} });
      const id: string = begun ?? (await store.begin(await entryOf(c, listener, await stranger())));
      const errorCode = c.res.headers.get(ERROR_CODE_HEADER);
      await store.end(id, subjectOf(c.req.path), { status, errorCode, answer: await answerOf(c) });
    } catch (error) {
      c.var.log.error({ err: error }, 'the audit entry could not be completed');
    }
  };
}

/**
 * The fields of requests and answers that may stand in the audit. Each is named: a field that is
 * not named never gets in.
 */

const OF_REQUESTS = [
  ...[
    'deployment_limit',
    'global_mutation_interval',
    'mutate_interval',
    'reconcile_interval',
    'dry_run',
    'deckies',
    'host',
    'services',
    'role',
    'replace_fleet',
  ],
  ...['max_parallel', 'min_healthy_time', 'healthy_deadline', 'progress_deadline', 'host_lost_after'],
  ...['name', 'address', 'agent_port', 'use_ipvlan', 'draining', 'host_uuid', 'host_name', 'decky_id', 'with_updater'],
];
const OF_ANSWERS = ['uuid', 'username', 'role', 'host_uuid', 'mode', 'lifecycle_ids', 'removed_lifecycle_ids'];
/** Longer values are left out: an entry is a line, not a copy. */
const LONGEST = 2_000;

/** NUL and halves of surrogate pairs, which PostgreSQL's JSON does not hold. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;

const isFlat = (value: unknown): boolean => typeof value !== 'object' || value === null;

/** A value or a list of values, storable; undefined for anything deeper. */
function storable(field: unknown): unknown {
  if (typeof field === 'string') return field.replaceAll(UNSTORABLE, '\uFFFD');
  if (Array.isArray(field)) return field.every(isFlat) ? field.map(storable) : undefined;
  return isFlat(field) ? field : undefined;
}

function pick(value: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const found = names.flatMap((name) => {
    const field = storable(Reflect.get(value, name));
    return field !== undefined && JSON.stringify(field).length <= LONGEST ? [[name, field] as const] : [];
  });
  return Object.fromEntries(found);
}

const requestFields = (body: unknown): Fields => pick(body, OF_REQUESTS);
const answerFields = (body: unknown): Record<string, unknown> => pick(body, OF_ANSWERS);

const SUBJECTS: readonly (readonly [SubjectKind, RegExp])[] = [
  ['user', /^\/api\/v1\/config\/users\/([^/]+)/],
  ['setting', /^\/api\/v1\/config\/([^/]+)$/],
  ['decky', /^\/api\/v1\/deckies\/([^/]+)/],
  ['host', /^(?:\/api\/v1)?\/swarm\/hosts\/([^/]+)/],
];
const NO_SUBJECTS = new Set(['/api/v1/config/users', '/api/v1/deckies/deploy']);

/** What a path is about; null where there is no such thing before the request. */
export function subjectOf(path: string): Subject | null {
  if (NO_SUBJECTS.has(path)) return null;
  for (const [kind, pattern] of SUBJECTS) {
    const name = pattern.exec(path)?.[1];
    if (name !== undefined) return { kind, name: kind === 'setting' ? name.replaceAll('-', '_') : name };
  }
  return null;
}
