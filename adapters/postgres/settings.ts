/** Settings that an admin changes at run time (table settings, one JSON value a key). */
import type { JSONValue } from 'postgres';
import { LIMITS } from '../../fleet/limits.ts';
import type { Sql } from './connect.ts';

/** DECNET's: rotation is every 30 minutes until somebody says otherwise. */
export const DEFAULT_MUTATION_INTERVAL = '30m';

export interface Settings {
  /** Largest number of deckies that a deploy may lead to. */
  deploymentLimit(): Promise<number>;
  setDeploymentLimit(limit: number): Promise<void>;
  /** `<n>m|d|M|y`. */
  globalMutationInterval(): Promise<string>;
  setGlobalMutationInterval(interval: string): Promise<void>;
  /** `<n>m|d|M|y`; null: nothing is mended by the clock. */
  reconcileInterval(): Promise<string | null>;
  setReconcileInterval(interval: string | null): Promise<void>;
  /** The interval of a first start; one that was set before stays. */
  seedReconcileInterval(interval: string | null): Promise<void>;
  /** The limit of a first start; one that was set before stays. */
  seedDeploymentLimit(limit: number): Promise<void>;
}

/** Read by planning too (adapters/postgres/fleet.ts). */
const LIMIT_KEY = 'deployment_limit';
const INTERVAL_KEY = 'global_mutation_interval';
const RECONCILE_KEY = 'reconcile_interval';

export function createSettings(sql: Sql): Settings {
  const read = async <T>(key: string): Promise<T | undefined> => {
    const [row] = await sql<{ value: T }[]>`select value from settings where key = ${key}`;
    return row?.value;
  };
  // `sql.json(null)` is SQL's null, which no setting is.
  const json = (value: JSONValue) => sql`${JSON.stringify(value)}::text::jsonb`;
  const write = async (key: string, value: JSONValue): Promise<void> => {
    await sql`
      insert into settings (key, value) values (${key}, ${json(value)})
      on conflict (key) do update set value = excluded.value, updated_at = now()`;
  };
  return {
    deploymentLimit: async () => (await read<number>(LIMIT_KEY)) ?? LIMITS.deploymentLimit,
    setDeploymentLimit: (limit) => write(LIMIT_KEY, limit),
    globalMutationInterval: async () => (await read<string>(INTERVAL_KEY)) ?? DEFAULT_MUTATION_INTERVAL,
    setGlobalMutationInterval: (interval) => write(INTERVAL_KEY, interval),
    reconcileInterval: async () => (await read<string | null>(RECONCILE_KEY)) ?? null,
    setReconcileInterval: (interval) => write(RECONCILE_KEY, interval),
    async seedReconcileInterval(interval) {
      await sql`
        insert into settings (key, value) values (${RECONCILE_KEY}, ${json(interval)})
        on conflict (key) do nothing`;
    },
    async seedDeploymentLimit(limit) {
      await sql`
        insert into settings (key, value) values (${LIMIT_KEY}, ${sql.json(limit)})
        on conflict (key) do nothing`;
    },
  };
}
