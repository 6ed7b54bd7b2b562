/** `npm run bench:api`: `GET /deckies/lifecycle` with 200 ids, as a wizard polls it, against the real API and servers of the bench's own. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { z } from 'zod';
import { openDatabase, type Sql } from '../../adapters/postgres/connect.ts';
import { ROOT } from '../../stack/root.ts';
import { freePorts } from '../swarm/ports.ts';
import { killAll, Program } from '../swarm/program.ts';
import { until } from '../swarm/scene.ts';
import { type BenchServers, startBenchServers } from '../swarm/servers.ts';
import { between, type Named, usesOf } from '../swarm/usage.ts';
import { type Polls, pollFor } from './polls.ts';

/** Polls of 200 ids that DECNET 1.0.0 answers in a second on two cores, as issue 6 states it. */
const DECNET_PER_SECOND = 125;
const FACTOR = 5;
const IDS = 200;
const WARM_UP_SECONDS = 2;
const READY_MS = 60_000;

interface Line extends Polls {
  readonly rows: string;
  readonly apiMs: number;
  readonly postgresMs: number;
}

interface Scene {
  readonly sql: Sql;
  readonly url: string;
  readonly bearer: string;
  readonly processes: readonly Named[];
}

const token = z.object({ access_token: z.string() });
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Rows of one deployment: all ended, or all running. */
async function rowsOf(sql: Sql, ended: boolean): Promise<string[]> {
  const ids = Array.from({ length: IDS }, () => randomUUID());
  await sql`insert into decky_lifecycle ${sql(
    ids.map((id, position) => ({
      id,
      decky_name: `bench-${id.slice(0, 8)}-${position}`,
      operation: 'deploy',
      status: 'pending',
      workflow_id: 'deploy/bench',
      position,
    })),
  )}`;
  await sql`update decky_lifecycle set status = 'running' where id = any(${ids})`;
  if (ended) await sql`update decky_lifecycle set status = 'succeeded', completed_at = now() where id = any(${ids})`;
  return ids;
}

async function measure(scene: Scene, ended: boolean, clients: number, seconds: number): Promise<Line> {
  const ids = await rowsOf(scene.sql, ended);
  const url = new URL(`${scene.url}/deckies/lifecycle?${ids.map((id) => `ids=${id}`).join('&')}`);
  await pollFor(url, scene.bearer, clients, WARM_UP_SECONDS);
  const before = usesOf(scene.processes);
  const polls = await pollFor(url, scene.bearer, clients, seconds);
  const used = between(before, usesOf(scene.processes));
  const msOf = (name: string): number => ((used[name]?.cpuSeconds ?? Number.NaN) * 1_000) / polls.answered;
  return { ...polls, rows: ended ? 'all ended' : 'all running', apiMs: msOf('api'), postgresMs: msOf('postgres') };
}

async function logIn(url: string, password: string): Promise<string> {
  const answer = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password }),
  });
  return token.parse(await answer.json()).access_token;
}

async function play(bench: BenchServers, clients: number, seconds: number, profile: string | null): Promise<Line[]> {
  const [apiPort, swarmPort] = await freePorts(2);
  const password = randomBytes(18).toString('base64url');
  const sql = openDatabase(bench.servers.databaseUrl, { max: 1, applicationName: 'deckhand-bench' });
  const { program } = await Program.start({
    name: 'api',
    file: join(ROOT, 'api/main.ts'),
    env: {
      DATABASE_URL: bench.servers.databaseUrl,
      NATS_URL: bench.servers.natsUrl,
      TEMPORAL_ADDRESS: bench.servers.temporal.address,
      DECKHAND_HOME: bench.home.directory,
      DECKHAND_API_PORT: String(apiPort),
      DECKHAND_SWARM_PORT: String(swarmPort),
      DECKHAND_ADMIN_PASSWORD: password,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
      DECKHAND_NETWORK: 'bridge',
    },
    ready: /"msg":"api listens"/,
    profile,
  });
  try {
    await until(async () => (await fetch(`http://127.0.0.1:${apiPort}/readyz`)).ok, READY_MS);
    const url = `http://127.0.0.1:${apiPort}/api/v1`;
    const postgres = bench.processes.find(({ name }) => name === 'postgres');
    const processes = [{ name: 'api', pid: program.pid }, ...(postgres ? [{ ...postgres, tree: true }] : [])];
    const scene = { sql, url, bearer: await logIn(url, password), processes };
    return [await measure(scene, true, clients, seconds), await measure(scene, false, clients, seconds)];
  } catch (error) {
    say(program.lastWords());
    throw error;
  } finally {
    await sql.end({ timeout: 2 });
    await program.stop();
  }
}

function tableOf(lines: readonly Line[]): string {
  const head = [
    `${IDS} ids`,
    'per second',
    '÷ DECNET’s 125',
    'median, ms',
    'p99, ms',
    'CPU of a poll: API, ms',
    'PostgreSQL, ms',
  ];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { rows, answered, seconds, median, p99, apiMs, postgresMs } of lines) {
    const rate = answered / seconds;
    const figures = [rate.toFixed(0), (rate / DECNET_PER_SECOND).toFixed(1), median.toFixed(1), p99.toFixed(1)];
    table.push([rows, ...figures, apiMs.toFixed(2), postgresMs.toFixed(2)]);
  }
  return `${table.toString()}\nWanted: ${FACTOR} × ${DECNET_PER_SECOND} a second.`;
}

/** Returns the exit code: 0, also where the target is missed; 1 when something broke. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '10' },
      clients: { type: 'string', default: '16' },
      profile: { type: 'string' },
    },
  });
  const bench = await startBenchServers(say);
  try {
    say(tableOf(await play(bench, Number(values.clients), Number(values.seconds), values.profile ?? null)));
    return 0;
  } catch (error) {
    console.error(`The bench broke: ${(error as Error).stack}`);
    return 1;
  } finally {
    killAll();
    await bench.stop();
  }
}
