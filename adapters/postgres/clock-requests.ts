/** What rotates, how often, and which rotations made no row (docs/rotation.md). An interval is inherit, off, or minutes. */
import { INTERVAL_PATTERN, intervalMinutes, intervalMs, LONGEST_INTERVAL_MINUTES } from '../../fleet/durations.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { deployWorkflowId, mutateWorkflowId } from '../../fleet/housekeeping.ts';
import { boundedRollout, ROLLOUT_DEFAULTS, type RolloutOptions } from '../../fleet/limits.ts';
import { RECONCILE_USER, ROTATION_USER } from '../../fleet/requests.ts';
import { type Queryable, reachable, type Sql } from './connect.ts';
import { storeClockRequest } from './deployments.ts';
import { createConvergenceStore } from './drift.ts';
import { createSettings } from './settings.ts';

export interface Rotations {
  /** Minutes of the decky's own, or null: it does not rotate. Throws NotFound. */
  setDeckyInterval(deckyName: string, minutes: number | null): Promise<void>;
}

/** What is wanted and what came up last carry the interval alike, so that no failure brings an old one back (gap B4). */
const WITH_INTERVAL = (sql: Queryable, minutes: number | null) => sql`
  decky_config = jsonb_set(decky_config, '{mutate_interval}', to_jsonb(${minutes}::bigint)),
  established = jsonb_set(established, '{config,mutate_interval}', to_jsonb(${minutes}::bigint))`;

export const createRotations = (sql: Sql): Rotations => ({
  setDeckyInterval: (deckyName, minutes) =>
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

/** What rotates, and how often. */
export interface RotationPlan {
  /** Deckies with an interval of their own. */
  readonly own: readonly { readonly deckyName: string; readonly minutes: number }[];
  /** The global interval; null where no decky inherits it. */
  readonly inherited: number | null;
}

export interface RotationStore {
  plan(): Promise<RotationPlan>;
  /** Deckies that inherit the interval and for which nothing happened so long, by name. */
  due(limit: number): Promise<string[]>;
  /** Stores the request of a rotation; safe to repeat. */
  store(input: { operationId: string; deckyName: string }): Promise<void>;
  noteSkip(input: { operationId: string; deckyName: string; reason: string }): Promise<void>;
}

const SKIPS_KEPT = '30 days';

/** Came up once, is not stopped nor on its way out, and nobody switched the rotation off. */
const ROTATES = (sql: Queryable) => sql`
  f.established is not null and not f.stopped and not f.rotation_off and f.state not in ('tearing_down', 'teardown_failed')`;
const OWN_INTERVAL = (sql: Queryable) => sql`(f.decky_config->>'mutate_interval')::bigint`;

export function createRotationStore(sql: Sql): RotationStore {
  const globalMinutes = async (): Promise<number> => {
    const text = await createSettings(sql).globalMutationInterval();
    return Math.min(intervalMinutes(INTERVAL_PATTERN.test(text) ? text : '30m'), LONGEST_INTERVAL_MINUTES);
  };
  return {
    plan: () =>
      reachable(async () => {
        const rows = await sql<{ deckyName: string; minutes: string | null }[]>`
          select f.name as "deckyName", ${OWN_INTERVAL(sql)} as minutes from fleet_deckies f where ${ROTATES(sql)} order by f.name`;
        const own = rows.flatMap(({ deckyName, minutes }) =>
          minutes === null ? [] : [{ deckyName, minutes: Number(minutes) }],
        );
        return { own, inherited: own.length < rows.length ? await globalMinutes() : null };
      }),
    due: (limit) => reachable(async () => dueDeckies(sql, await globalMinutes(), limit)),
    store: (input) => reachable(() => storeRotation(sql, input)),
    noteSkip: ({ operationId, deckyName, reason }) =>
      reachable(async () => {
        await sql`insert into rotation_skips (id, decky_name, reason) values (${operationId}, ${deckyName}, ${reason.slice(0, 2_000)})
          on conflict (id) do nothing`;
        await sql`delete from rotation_skips where skipped_at < now() - ${SKIPS_KEPT}::interval`;
      }),
  };
}

/** Whatever ended for a decky, by hand or by the clock, counts from there; so does a skip. */
async function dueDeckies(sql: Sql, minutes: number, limit: number): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select f.name from fleet_deckies f
    where ${ROTATES(sql)} and ${OWN_INTERVAL(sql)} is null
      and coalesce(greatest(
        (select max(l.completed_at) from decky_lifecycle l where l.decky_name = f.name),
        (select max(s.skipped_at) from rotation_skips s where s.decky_name = f.name),
        to_timestamp((f.decky_config->>'last_mutated')::double precision)), 'epoch') < now() - ${minutes} * interval '1 minute'
    order by f.name limit ${limit}`;
  return rows.map((row) => row.name);
}

/** With the options of the decky's last operation, which its operator chose. */
async function storeRotation(
  sql: Sql,
  { operationId, deckyName }: { operationId: string; deckyName: string },
): Promise<void> {
  const [last] = await sql<{ options: RolloutOptions }[]>`
    select d.options from decky_lifecycle l join deployments d on d.id = l.deployment_id
    where l.decky_name = ${deckyName} order by l.started_at desc limit 1`;
  await storeClockRequest(sql, {
    id: operationId,
    kind: 'mutate',
    workflowId: mutateWorkflowId(operationId),
    username: ROTATION_USER,
    request: { decky_name: deckyName, services: null, trigger: 'scheduled' },
    options: boundedRollout(last?.options),
  });
}

/** Requests that the clock makes to mend what drifts, and how often. */

export function createReconcileStore(sql: Sql) {
  const { mendable, tries } = createConvergenceStore(sql);
  return {
    mendable,
    tries,
    interval: (): Promise<number | null> =>
      reachable(async () => {
        const text = await createSettings(sql).reconcileInterval();
        return text === null ? null : intervalMs(text);
      }),
    /** Safe to repeat. */
    request: ({ operationId, deckies }: { operationId: string; deckies: readonly string[] }): Promise<void> =>
      reachable(() =>
        storeClockRequest(sql, {
          id: operationId,
          kind: 'reconcile',
          workflowId: deployWorkflowId(operationId),
          username: RECONCILE_USER,
          request: { deckies, host: null },
          options: ROLLOUT_DEFAULTS,
        }),
      ),
  };
}
