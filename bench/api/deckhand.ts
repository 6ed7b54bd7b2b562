/** The real API, on servers of the bench's own. */
import { randomBytes, randomUUID } from 'node:crypto';
import { openDatabase, type Sql } from '../../adapters/postgres/connect.ts';
import { programArguments } from '../../stack/root.ts';
import { freePorts } from '../swarm/ports.ts';
import { Program } from '../swarm/program.ts';
import { until } from '../swarm/scene.ts';
import type { BenchServers } from '../swarm/servers.ts';
import { type Contestant, IDS, USER } from './contestant.ts';

const READY_MS = 60_000;

/** Rows of one deployment. */
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

export async function startDeckhand(bench: BenchServers, profile: string | null): Promise<Contestant> {
  const [apiPort, swarmPort] = await freePorts(2);
  const password = randomBytes(18).toString('base64url');
  const { program } = await Program.start({
    name: 'api',
    args: programArguments('api'),
    env: {
      DATABASE_URL: bench.servers.databaseUrl,
      NATS_URL: bench.servers.natsUrl,
      TEMPORAL_ADDRESS: bench.servers.temporal.address,
      DECKHAND_HOME: bench.home.directory,
      DECKHAND_API_PORT: String(apiPort),
      DECKHAND_SWARM_PORT: String(swarmPort),
      DECKHAND_ADMIN_USER: USER,
      DECKHAND_ADMIN_PASSWORD: password,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
      DECKHAND_NETWORK: 'bridge',
    },
    ready: /"msg":"api listens"/,
    profile,
  });
  const sql = openDatabase(bench.servers.databaseUrl, { max: 1, applicationName: 'deckhand-bench' });
  try {
    if (!(await until(async () => (await fetch(`http://127.0.0.1:${apiPort}/readyz`)).ok, READY_MS)))
      throw new Error(`The API was not ready after ${READY_MS / 1_000} s.`);
    const postgres = bench.processes.find(({ name }) => name === 'postgres');
    return {
      name: 'Deckhand',
      url: `http://127.0.0.1:${apiPort}/api/v1`,
      password,
      process: { name: 'api', pid: program.pid },
      database: postgres ? { ...postgres, tree: true } : null,
      ids: { 'all ended': await rowsOf(sql, true), 'all running': await rowsOf(sql, false) },
      stop: () => program.stop(),
    };
  } catch (error) {
    await program.stop();
    throw new Error(program.lastWords(), { cause: error });
  } finally {
    await sql.end({ timeout: 2 });
  }
}
