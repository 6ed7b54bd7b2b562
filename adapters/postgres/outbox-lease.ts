/**
 * Who sends the outbox: one drainer at a time over all workers. A row with an end that the database's clock judges, so that neither
 * a drainer that is stopped (its connection stays open) nor one that is cut off keeps others from sending for longer.
 * Each statement is a transaction of its own: nobody waits for a lock that outlives a round trip.
 */
import { randomUUID } from 'node:crypto';
import type { Sql } from './connect.ts';

export class OutboxLease {
  readonly #sql: Sql;
  readonly #ms: number;
  /** New for each drain: one that lost the lease and goes on late is told from the one that has it now. */
  readonly #holder = randomUUID();
  /** By this process's clock, which goes on while the process is stopped. Counted from before the database was asked. */
  #since = 0;

  constructor(sql: Sql, ms: number) {
    this.#sql = sql;
    this.#ms = ms;
  }

  /** False where another one has it; that one is asked to look once more. */
  async take(): Promise<boolean> {
    const asked = performance.now();
    const [row] = await this.#sql<{ mine: boolean }[]>`
      update outbox_lease set
        wanted = expires_at >= now(),
        holder = case when expires_at < now() then ${this.#holder} else holder end,
        expires_at = case when expires_at < now() then now() + ${this.#ms} * interval '1 millisecond' else expires_at end
      returning holder = ${this.#holder} as mine`;
    this.#since = asked;
    return row?.mine === true;
  }

  /** Enough of it is left to begin something. */
  get isFresh(): boolean {
    return performance.now() - this.#since < this.#ms / 2;
  }

  /** False once another one has taken it. Who asked meanwhile is served by what is read after this. */
  async renew(): Promise<boolean> {
    const asked = performance.now();
    const { count } = await this.#sql`
      update outbox_lease set expires_at = now() + ${this.#ms} * interval '1 millisecond', wanted = false
      where holder = ${this.#holder}`;
    this.#since = asked;
    return count > 0;
  }

  /** False where another one came meanwhile: what that one wrote may not have been read yet. */
  async release(): Promise<boolean> {
    const [row] = await this.#sql<{ wanted: boolean }[]>`
      update outbox_lease set expires_at = case when wanted then expires_at else '-infinity' end
      where holder = ${this.#holder} returning wanted`;
    return row?.wanted !== true;
  }

  /** After a failure. Where this fails too, the lease ends by itself. */
  async abandon(): Promise<void> {
    await this.#sql`update outbox_lease set expires_at = '-infinity' where holder = ${this.#holder}`.catch(
      () => undefined,
    );
  }
}
