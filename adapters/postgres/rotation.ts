/** What rotates, how often, and which rotations made no row (docs/rotation.md). An interval is inherit, off, or minutes. */
import { DeckhandError } from '../../fleet/errors.ts';
import type { Queryable, Sql } from './connect.ts';
import { reachable } from './connect.ts';

export interface Rotations {
  /** Minutes of the decky's own, or null: it does not rotate. Throws NotFound. */
  setInterval(deckyName: string, minutes: number | null): Promise<void>;
}

/** What is wanted and what came up last carry the interval alike, so that no failure brings an old one back (gap B4). */
const WITH_INTERVAL = (sql: Queryable, minutes: number | null) => sql`
  decky_config = jsonb_set(decky_config, '{mutate_interval}', to_jsonb(${minutes}::bigint)),
  established = jsonb_set(established, '{config,mutate_interval}', to_jsonb(${minutes}::bigint))`;

export const createRotations = (sql: Sql): Rotations => ({
  setInterval: (deckyName, minutes) =>
    reachable(async () => {
      const changed = await sql`
        update fleet_deckies set rotation_off = ${minutes === null}, updated_at = now(),
          ${minutes === null ? WITHOUT_INTERVAL(sql) : WITH_INTERVAL(sql, minutes)}
        where name = ${deckyName} returning name`;
      if (changed.length > 0) return;
      const [some] = await sql`select 1 from fleet_deckies limit 1`;
      throw new DeckhandError('NotFound', some ? 'Decky not found' : 'No active deployment');
    }),
});

const WITHOUT_INTERVAL = (sql: Queryable) => sql`
  decky_config = jsonb_set(decky_config, '{mutate_interval}', 'null'),
  established = jsonb_set(established, '{config,mutate_interval}', 'null')`;
