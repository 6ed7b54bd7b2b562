/** What the two processes of a bare peer are given by their environment. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase, type Sql } from '../../../adapters/postgres/connect.ts';

export interface BareEnvironment {
  readonly DATABASE_URL: string;
  readonly BENCH_SCHEMA: string;
  readonly BENCH_TASK_QUEUE: string;
  /** The directory of the CA, as Deckhand's API has it. */
  readonly BENCH_CA_DIR: string;
  readonly TEMPORAL_ADDRESS: string;
  readonly TEMPORAL_NAMESPACE: string;
}

export function variable(name: keyof BareEnvironment): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; bench/swarm/bare/peer.ts starts this program.`);
  return value;
}

export const database = (): Sql =>
  openDatabase(variable('DATABASE_URL'), { schema: variable('BENCH_SCHEMA'), applicationName: 'deckhand-bench' });

export interface Pems {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function identity(folder: 'master' | 'swarmctl', name: string): Pems {
  const file = (...parts: string[]): string => readFileSync(join(variable('BENCH_CA_DIR'), ...parts), 'utf8');
  return { ca: file('ca.crt'), cert: file(folder, `${name}.crt`), key: file(folder, `${name}.key`) };
}

/** What a program says once it works. */
export type ReadyLine = { readonly ready: true; readonly url?: string; readonly swarmUrl?: string };
export const sayReady = (line: ReadyLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
