/** Starts the processes of a bare peer, and asks them. */
import { fileURLToPath } from 'node:url';
import { openDatabase, type Sql } from '../../../adapters/postgres/connect.ts';
import type { Contestant, ContestantName, Size, Timing } from '../contestant.ts';
import { Program } from '../program.ts';
import { type Scene, startAgents, timed } from '../scene.ts';
import { BARE_TASK_QUEUE } from './messages.ts';
import type { BareEnvironment, ReadyLine } from './parts.ts';
import { createTables, insertHosts } from './schema.ts';

const READY = /^(\{"ready":true.*\})$/m;
const fileOf = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

/** `outside`: with dispatch over mutual TLS, heartbeats and rows. */
export async function startBarePeer(scene: Scene, hosts: number, outside: boolean): Promise<Contestant> {
  const { servers } = scene.bench;
  const kind = outside ? 'outside' : 'empty';
  const schema = `bare_${kind}_${hosts}_${Date.now()}`;
  const environment: BareEnvironment = {
    DATABASE_URL: servers.databaseUrl,
    BENCH_SCHEMA: schema,
    BENCH_TASK_QUEUE: `${BARE_TASK_QUEUE}-${kind}-${hosts}`,
    BENCH_CA_DIR: scene.caDir,
    TEMPORAL_ADDRESS: servers.temporal.address,
    TEMPORAL_NAMESPACE: servers.temporal.namespace,
  };
  const sql = openDatabase(servers.databaseUrl, { schema, max: 2, applicationName: 'deckhand-bench' });
  await createTables(sql, schema);
  const start = (name: 'api' | 'worker') =>
    Program.start({
      name,
      args: ['--import', import.meta.resolve('tsx'), fileOf(name)],
      env: { ...environment },
      ready: READY,
      profile: scene.profile,
    });
  const [agents, api, worker] = await Promise.all([
    outside ? startAgents(scene, hosts) : null,
    start('api'),
    start('worker'),
  ]);
  const { url = '', swarmUrl = '' } = JSON.parse(api.said) as ReadyLine;
  if (agents) {
    await insertHosts(sql, scene.hosts.slice(0, hosts), agents.ready.ports);
    await agents.reportTo(swarmUrl);
  }
  return {
    name: (outside ? 'bare, outside work' : 'bare Temporal') satisfies ContestantName,
    processes: [api.program, worker.program, ...(agents ? [{ name: 'agents', pid: agents.pid }] : [])],
    agents,
    run: (size) => runOnce(scene, sql, url, size, outside),
    reset: async () => {
      await sql`truncate rows, outbox`;
      await agents?.drop();
    },
    stop: async () => {
      await Promise.all([api.program.stop(), worker.program.stop(), agents?.stop()]);
      await sql`drop schema ${sql(schema)} cascade`;
      await sql.end({ timeout: 2 });
    },
    lastWords: () => [api, worker].map(({ program }) => program.lastWords()).join('\n'),
  };
}

async function runOnce(scene: Scene, sql: Sql, url: string, size: Size, outside: boolean): Promise<Timing> {
  const hosts = scene.hosts.slice(0, size.hosts).map(({ hostUuid }) => hostUuid);
  const begun = performance.now();
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify({ hosts, deckies: size.deckies, outside }) });
  const { workflowId, child } = (await answer.json()) as { workflowId: string; child: string };
  const accepted = performance.now();
  const noneOpen = async (): Promise<boolean> => {
    const [row] = await sql`select 1 from rows where status in ('pending', 'running') limit 1`;
    return row === undefined;
  };
  const timing = await timed(scene, begun, accepted, {
    parent: workflowId,
    child,
    ended: outside ? noneOpen : () => Promise.resolve(true),
  });
  // Without rows, the parent's end is the end.
  return outside ? timing : { ...timing, endedMs: timing.closedMs ?? timing.endedMs };
}
