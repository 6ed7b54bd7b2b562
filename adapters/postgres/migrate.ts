/** Forward-only migrations: the numbered SQL files of migrations/, each once, in order, under an advisory lock. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { LONG_BOUNDS, openBeside, type Queryable, type Sql } from './connect.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Any number of our own will do, as long as all programs use the same. */
const LOCK = 7_236_001;

async function readMigrations(): Promise<{ name: string; text: string; digest: string }[]> {
  const names = (await readdir(FOLDER)).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, FOLDER), 'utf8');
      return { name, text, digest: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

type Migration = Awaited<ReturnType<typeof readMigrations>>[number];

/** Applies what is missing and returns the names applied. A migration that was changed after it was applied is an error. */
export async function migrate(sql: Sql, schema = 'public'): Promise<string[]> {
  const migrations = await readMigrations();
  // The everyday case: one short statement, with the bounds of every other.
  if (await isCurrent(sql, schema, migrations)) return [];
  // A migration may take long, and so may waiting for another program that migrates.
  const patient = openBeside(sql, { max: 1, bounds: LONG_BOUNDS });
  try {
    return await apply(patient, schema, migrations);
  } finally {
    await patient.end({ timeout: 1 });
  }
}

async function isCurrent(sql: Sql, schema: string, migrations: readonly Migration[]): Promise<boolean> {
  const [found] = await sql`select to_regclass(${`${quoted(schema)}.migrations`}) is not null as there`;
  if (found?.there !== true) return false;
  const known = await readApplied(sql);
  return migrations.every(({ name, digest }) => known.get(name) === digest);
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

async function readApplied(sql: Queryable): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; digest: string }[]>`select name, digest from migrations`;
  return new Map(rows.map((row) => [row.name, row.digest]));
}

const apply = (sql: Sql, schema: string, migrations: readonly Migration[]): Promise<string[]> =>
  sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LOCK}, hashtext(${schema}))`;
    await tx`create schema if not exists ${tx(schema)}`;
    await tx`create table if not exists migrations (name text primary key, digest text not null, applied_at timestamptz not null default now())`;
    const known = await readApplied(tx);
    const applied: string[] = [];
    for (const { name, text, digest } of migrations) {
      const before = known.get(name);
      if (before === digest) continue;
      if (before !== undefined)
        throw new Error(
          `Migration ${name} was changed after it was applied. Migrations only go forward: add a new file.`,
        );
      await tx.unsafe(text);
      await tx`insert into migrations (name, digest) values (${name}, ${digest})`;
      applied.push(name);
    }
    return applied;
  });
