/** A schema of its own for each test, migrated, dropped at the end. */
import { randomBytes } from 'node:crypto';
import { openDatabase, type Sql } from '../../../adapters/postgres/connect.ts';
import { migrate } from '../../../adapters/postgres/migrate.ts';
import { testServers } from '../stack/stack.ts';

export interface TestDatabase {
  readonly sql: Sql;
  readonly schema: string;
  readonly url: string;
  drop(): Promise<void>;
}

export async function createTestDatabase(): Promise<TestDatabase> {
  const schema = `test_${randomBytes(6).toString('hex')}`;
  const sql = openDatabase(testServers.databaseUrl, { schema, max: 8, applicationName: schema });
  await migrate(sql, schema);
  return {
    sql,
    schema,
    url: testServers.databaseUrl,
    drop: async () => {
      try {
        await sql`drop schema if exists ${sql(schema)} cascade`;
      } finally {
        await sql.end({ timeout: 1 });
      }
    },
  };
}
