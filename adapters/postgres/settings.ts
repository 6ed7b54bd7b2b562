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
  /** The limit of a first start; one that was set before stays. */
  seedDeploymentLimit(limit: number): Promise<void>;
}

export function createSettings(sql: Sql): Settings {
  const read = async (key: string): Promise<unknown> => {
    const [row] = await sql<{ value: unknown }[]>`select value from settings where key = ${key}`;
    return row?.value;
  };
  const write = async (key: string, value: JSONValue): Promise<void> => {
    await sql`
      insert into settings (key, value) values (${key}, ${sql.json(value)})
      on conflict (key) do update set value = excluded.value, updated_at = now()`;
  };
  return {
    async deploymentLimit() {
      const value = await read('deployment_limit');
      return typeof value === 'number' ? value : LIMITS.deploymentLimit;
    },
    setDeploymentLimit: (limit) => write('deployment_limit', limit),
    async globalMutationInterval() {
      const value = await read('global_mutation_interval');
      return typeof value === 'string' ? value : DEFAULT_MUTATION_INTERVAL;
    },
    setGlobalMutationInterval: (interval) => write('global_mutation_interval', interval),
    async seedDeploymentLimit(limit) {
      await sql`
        insert into settings (key, value) values ('deployment_limit', ${sql.json(limit)})
        on conflict (key) do nothing`;
    },
  };
}
