/** Forward-only migrations: the numbered SQL files of migrations/, each once, in order, under an advisory lock. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Sql } from './connect.ts';

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

/** Applies what is missing and returns the names applied. A migration that was changed after it was applied is an error. */
export async function migrate(sql: Sql, schema = 'public'): Promise<string[]> {
  const migrations = await readMigrations();
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LOCK}, hashtext(${schema}))`;
    await tx`create schema if not exists ${tx(schema)}`;
    await tx`create table if not exists migrations (name text primary key, digest text not null, applied_at timestamptz not null default now())`;
    const known = new Map(
      (await tx<{ name: string; digest: string }[]>`select name, digest from migrations`).map((row) => [
        row.name,
        row.digest,
      ]),
    );
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
}
