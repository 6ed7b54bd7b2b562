/** What of a request and its answer may stand in the audit. Named one by one: what is not named here never gets in. */
import type { Fields, Subject, SubjectKind } from '../../adapters/postgres/audit.ts';

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

export const requestFields = (body: unknown): Fields => pick(body, OF_REQUESTS);
export const answerFields = (body: unknown): Record<string, unknown> => pick(body, OF_ANSWERS);

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
