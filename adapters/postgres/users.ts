/** Users of the operators' API: roles, password hashes, and from when on their tokens count. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { DeckhandError } from '../../fleet/errors.ts';
import { isUniqueViolation, type Queryable, type Sql } from './connect.ts';

export const ROLE = Object.freeze({ admin: 'admin', viewer: 'viewer' });
export type Role = (typeof ROLE)[keyof typeof ROLE];

export interface User {
  readonly uuid: string;
  readonly username: string;
  readonly role: Role;
  readonly must_change_password: boolean;
}

export interface UserRecord extends User {
  /** argon2id, PHC string. */
  readonly password_hash: string;
  /** Epoch seconds; tokens issued earlier do not count. */
  readonly tokens_valid_from: number;
}

export interface NewUser {
  readonly username: string;
  readonly password_hash: string;
  readonly role: Role;
  readonly must_change_password: boolean;
}

export interface Users {
  byUsername(username: string): Promise<UserRecord | null>;
  /** The owner of a token, unless that token (`jti`) was revoked or the user is gone. */
  ofToken(uuid: string, jti: string): Promise<UserRecord | null>;
  /** In the order in which they were created. */
  list(): Promise<User[]>;
  /** Throws UserExists. */
  create(user: NewUser): Promise<User>;
  /** Makes the user where there are no users at all; false when there are some. */
  createFirst(user: NewUser): Promise<boolean>;
  /** Every token issued so far, also within this very second, stops counting. False when there is no such user. */
  resetPassword(uuid: string, passwordHash: string): Promise<boolean>;
  /** The same by the user, who needs not change it again. False where another one than `from` stands there by now. */
  changePassword(uuid: string, from: string, to: string): Promise<boolean>;
  /** Gives another role, and ends every token issued so far. False when there is no such user. */
  setRole(uuid: string, role: Role): Promise<boolean>;
  remove(uuid: string): Promise<boolean>;
}

/** For the lock that keeps two programs from both creating a first admin. */
const FIRST_USER_LOCK = 7_236_002;

export function createUsers(sql: Sql): Users {
  const record = sql`uuid, username, role, must_change_password, password_hash, tokens_valid_from::float8`;
  const tokensEnd = () => sql`tokens_valid_from = greatest(tokens_valid_from, ${Math.floor(Date.now() / 1000)}) + 1`;
  return {
    async byUsername(username) {
      const [row] = await sql<UserRecord[]>`select ${record} from users where username = ${username}`;
      return row ?? null;
    },
    async ofToken(uuid, jti) {
      const [row] = await sql<UserRecord[]>`
        select ${record} from users
        where uuid = ${uuid} and not exists (select from revoked_tokens where jti = ${jti})`;
      return row ?? null;
    },
    list: () => sql<User[]>`select uuid, username, role, must_change_password from users order by created_at, username`,
    async create(user) {
      try {
        return await insert(sql, user);
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new DeckhandError('UserExists', 'Username already exists', { cause: error });
      }
    },
    createFirst: (user) =>
      sql.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(${FIRST_USER_LOCK})`;
        const [some] = await tx`select 1 from users limit 1`;
        if (some === undefined) await insert(tx, user);
        return some === undefined;
      }),
    async resetPassword(uuid, passwordHash) {
      const result = await sql`
        update users set password_hash = ${passwordHash}, must_change_password = true, ${tokensEnd()} where uuid = ${uuid}`;
      return result.count === 1;
    },
    async changePassword(uuid, from, to) {
      const result = await sql`
        update users set password_hash = ${to}, must_change_password = false, ${tokensEnd()}
        where uuid = ${uuid} and password_hash = ${from}`;
      return result.count === 1;
    },
    async setRole(uuid, role) {
      const result = await sql`update users set role = ${role}, ${tokensEnd()} where uuid = ${uuid}`;
      return result.count === 1;
    },
    remove: async (uuid) => (await sql`delete from users where uuid = ${uuid}`).count === 1,
  };
}

async function insert(sql: Queryable, user: NewUser): Promise<User> {
  const [row] = await sql<User[]>`
    insert into users (uuid, username, password_hash, role, must_change_password)
    values (${randomUUID()}, ${user.username}, ${user.password_hash}, ${user.role}, ${user.must_change_password})
    returning uuid, username, role, must_change_password`;
  if (row === undefined) throw new DeckhandError('Internal', `No row came back for the new user ${user.username}`);
  return row;
}

/** What is kept of tokens: the ids of those that were logged out, and tickets for event streams (docs/wire.md#login-and-tokens). */

export const TICKET_SECONDS = 60;

/** What a token says of itself. */
export interface TokenClaims {
  readonly uuid: string;
  readonly jti: string;
  /** Epoch seconds. */
  readonly iat: number;
  readonly exp: number;
}

export interface Tokens {
  /** The token does not count from now on. `expiresAt` in epoch seconds: until then it has to be remembered. */
  revoke(jti: string, expiresAt: number): Promise<void>;
  /** A ticket for `?ticket=`, good for one use within {@link TICKET_SECONDS}, in place of the token that asks for it. */
  issueTicket(claims: TokenClaims): Promise<string>;
  /** Spends a ticket; the claims of its token, which may have ended, or null when the ticket is unknown, spent or too old. */
  redeemTicket(ticket: string): Promise<TokenClaims | null>;
}

const digest = (ticket: string): string => createHash('sha256').update(ticket).digest('hex');

export function createTokens(sql: Sql): Tokens {
  return {
    async revoke(jti, expiresAt) {
      await sql`delete from revoked_tokens where expires_at < now()`;
      await sql`
        insert into revoked_tokens (jti, expires_at) values (${jti}, to_timestamp(${expiresAt}))
        on conflict (jti) do nothing`;
    },
    async issueTicket({ uuid, jti, iat, exp }) {
      const ticket = randomBytes(32).toString('base64url');
      await sql`delete from sse_tickets where expires_at < now()`;
      await sql`
        insert into sse_tickets (ticket_hash, user_uuid, token_jti, token_iat, token_exp, expires_at)
        values (${digest(ticket)}, ${uuid}, ${jti}, ${iat}, ${exp}, now() + make_interval(secs => ${TICKET_SECONDS}))`;
      return ticket;
    },
    async redeemTicket(ticket) {
      const [row] = await sql<(TokenClaims & { live: boolean })[]>`
        delete from sse_tickets where ticket_hash = ${digest(ticket)}
        returning user_uuid as uuid, token_jti as jti, token_iat::float8 as iat, token_exp::float8 as exp,
          expires_at > now() as live`;
      if (row?.live !== true) return null;
      const { live: _, ...claims } = row;
      return claims;
    },
  };
}
