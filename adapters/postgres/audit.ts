/** The audit: entries, and the state of what an entry is about. */
import type { Queryable, Sql } from './connect.ts';

export type SubjectKind = 'setting' | 'user' | 'decky' | 'host';

export interface Subject {
  readonly kind: SubjectKind;
  /** A setting's key, a user's or host's uuid, a decky's name. */
  readonly name: string;
}

export type Fields = Readonly<Record<string, unknown>>;

export interface NewAuditEntry {
  readonly listener: 'operators' | 'swarm';
  readonly username: string | null;
  readonly peer: string | null;
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly subject: Subject | null;
  readonly request: Fields;
}

export interface AuditOutcome {
  readonly status: number;
  readonly errorCode: string | null;
  /** What the answer told of the change, beside the subject's state. */
  readonly answer: Fields;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly listener: string;
  readonly username: string | null;
  readonly peer: string | null;
  readonly request_id: string;
  readonly method: string;
  readonly path: string;
  readonly subject: { readonly kind: string; readonly name: string } | null;
  readonly request: Fields;
  readonly before: Fields | null;
  readonly after: Fields | null;
  /** null: the master died before it answered. */
  readonly status: number | null;
  readonly error_code: string | null;
}

export interface AuditStore {
  /** Writes the entry with the subject's state before the change; returns its id. */
  begin(entry: NewAuditEntry): Promise<string>;
  /** Completes it, with the subject's state after the change. */
  end(id: string, subject: Subject | null, outcome: AuditOutcome): Promise<void>;
  /** Newest first; `before` is the id of the last entry of the page before. */
  list(page: { limit: number; before: string | null; username: string | null }): Promise<AuditEntry[]>;
}

const STATES: Readonly<Record<SubjectKind, (sql: Queryable, name: string) => Promise<readonly Fields[]>>> = {
  setting: (sql, name) => sql<Fields[]>`select key, value from settings where key = ${name}`,
  user: (sql, name) => sql<Fields[]>`select username, role, must_change_password from users where uuid = ${name}`,
  decky: (sql, name) => sql<Fields[]>`
    select services, decky_ip, host_uuid, decky_config->'mutate_interval' as mutate_interval, rotation_off
    from fleet_deckies where name = ${name}`,
  host: (sql, name) => sql<Fields[]>`
    select name, address, agent_port, use_ipvlan, draining from swarm_hosts where uuid = ${name}`,
};

async function stateOf(sql: Queryable, subject: Subject | null): Promise<Fields | null> {
  if (subject === null) return null;
  const [row] = await STATES[subject.kind](sql, subject.name);
  return row ? { ...row } : null;
}

const asJson = (sql: Queryable, value: unknown) =>
  value === null ? null : sql.json(JSON.parse(JSON.stringify(value)));

export function createAudit(sql: Sql): AuditStore {
  return {
    async begin(entry) {
      const before = await stateOf(sql, entry.subject);
      const [row] = await sql<{ id: string }[]>`
        insert into audit (listener, username, peer, request_id, method, path, subject_kind, subject_name, request, before)
        values (${entry.listener}, ${entry.username}, ${entry.peer}, ${entry.requestId}, ${entry.method}, ${entry.path},
          ${entry.subject?.kind ?? null}, ${entry.subject?.name ?? null}, ${asJson(sql, entry.request)}, ${asJson(sql, before)})
        returning id::text`;
      return row?.id ?? '';
    },
    async end(id, subject, { status, errorCode, answer }) {
      const state = status < 400 ? await stateOf(sql, subject) : null;
      const after = state === null && Object.keys(answer).length === 0 ? null : { ...state, ...answer };
      await sql`update audit set status = ${status}, error_code = ${errorCode}, after = ${asJson(sql, after)} where id = ${id}`;
    },
    list: ({ limit, before, username }) => sql<AuditEntry[]>`
      select id::text, iso(at) as at, listener, username, peer, request_id, method, path, request, before, after, status, error_code,
        case when subject_kind is not null then jsonb_build_object('kind', subject_kind, 'name', subject_name) end as subject
      from audit where true
        ${before === null ? sql`` : sql`and id < ${before}::bigint`}
        ${username === null ? sql`` : sql`and username = ${username}`}
      order by audit.id desc limit ${limit}`,
  };
}
