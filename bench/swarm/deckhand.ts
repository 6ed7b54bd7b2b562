/** Deckhand itself: the real API and the real worker, hosts enrolled by the store, everything else as a client does it. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { openDatabase, type Sql } from '../../adapters/postgres/connect.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { migrate } from '../../adapters/postgres/migrate.ts';
import { deployWorkflowId, shardWorkflowId } from '../../fleet/housekeeping.ts';
import { programArguments } from '../../stack/root.ts';
import { enrollHosts, type SimulatedAgents } from '../../test/support/simulated-agents/launch.ts';
import type { Mode } from '../../test/support/simulated-agents/protocol.ts';
import type { Contestant, Size, Timing } from './contestant.ts';
import { freePorts } from './ports.ts';
import { Program } from './program.ts';
import { type Scene, startAgents, timed, until } from './scene.ts';

const USER = 'admin';
/** The largest `amount` of a section. */
const SECTION = 100;
const LIMIT = 10_000;
/** The bus gets this long after a run. */
const DRAIN_MS = 60_000;

const token = z.object({ access_token: z.string() });

export interface Accepted {
  /** The parent workflow. */
  readonly parent: string;
  readonly operationId: string;
}

export interface Deckhand extends Contestant {
  readonly agents: SimulatedAgents;
  readonly apiPid: number;
  readonly operator: Operator;
  /** Returns when the request was accepted. */
  deploy(size: Size): Promise<Accepted>;
  openRows(): Promise<number>;
}

export async function startDeckhand(scene: Scene, hosts: number, mode: Mode = 'ready'): Promise<Deckhand> {
  const schema = `deckhand_${hosts}_${Date.now()}`;
  const sql = openDatabase(scene.bench.servers.databaseUrl, { schema, max: 4, applicationName: 'deckhand-bench' });
  await migrate(sql, schema);
  const { api, worker, agents, operator } = await launch(scene, sql, schema, hosts, mode);
  const deploy = (size: Size): Promise<Accepted> => accept(operator, size);
  return {
    name: 'Deckhand',
    processes: [api, worker, { name: 'agents', pid: agents.pid }],
    agents,
    apiPid: api.pid,
    operator,
    deploy,
    openRows: async () => {
      const [row] = await sql<{ open: number }[]>`
        select count(*)::int as open from decky_lifecycle where status in ('pending', 'running')`;
      return row?.open ?? 0;
    },
    run: (size) => runOnce(scene, sql, deploy, size),
    reset: async () => {
      await until(async () => (await sql`select 1 from outbox where sent_at is null limit 1`).length === 0, DRAIN_MS);
      await sql`truncate deployments, fleet_deckies, decky_lifecycle, host_tickets, outbox, decky_shards cascade`;
      await agents.drop();
    },
    stop: async () => {
      await Promise.all([api.stop(), worker.stop(), agents.stop()]);
      await sql`drop schema ${sql(schema)} cascade`;
      await sql.end({ timeout: 2 });
    },
    lastWords: () => [api, worker].map((program) => program.lastWords()).join('\n'),
  };
}

export interface Operator {
  /** With the prefix of the API. */
  readonly url: string;
  readonly bearer: string;
}

/** The programs and the agents, hosts enrolled, an operator logged in. */
async function launch(scene: Scene, sql: Sql, schema: string, hosts: number, mode: Mode) {
  const password = randomBytes(18).toString('base64url');
  const [apiPort, swarmPort] = await freePorts(2);
  const env = {
    ...environmentOf(scene, schema),
    DECKHAND_API_PORT: String(apiPort),
    DECKHAND_SWARM_PORT: String(swarmPort),
    DECKHAND_ADMIN_PASSWORD: password,
  };
  const start = (name: 'api' | 'worker') =>
    Program.start({ name, args: programArguments(name), env, ready: READY[name], profile: scene.profile });
  const [agents, { program: api }, { program: worker }] = await Promise.all([
    startAgents(scene, hosts, mode),
    start('api'),
    start('worker'),
  ]);
  await enrollHosts(createHostStore(sql), scene.hosts.slice(0, hosts), agents.ready);
  await agents.reportTo(`https://127.0.0.1:${swarmPort}`);
  const url = `http://127.0.0.1:${apiPort}/api/v1`;
  const operator: Operator = { url, bearer: await logIn(url, password) };
  return { api, worker, agents, operator };
}

const environmentOf = ({ bench: { servers, home }, caDir }: Scene, schema: string) => ({
  DATABASE_URL: servers.databaseUrl,
  DECKHAND_DB_SCHEMA: schema,
  NATS_URL: servers.natsUrl,
  TEMPORAL_ADDRESS: servers.temporal.address,
  TEMPORAL_NAMESPACE: servers.temporal.namespace,
  DECKHAND_ENGINE: 'simulated',
  DECKHAND_HOME: home.path(schema),
  DECKHAND_INSTANCE: home.instance,
  DECKHAND_CA_DIR: caDir,
  DECKHAND_TASK_QUEUE: schema,
  DECKHAND_ADMIN_USER: USER,
  DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
  DECKHAND_DEPLOYMENT_LIMIT: String(LIMIT),
  DECKHAND_NETWORK: 'bridge',
  DECKHAND_BRIDGE_POOL: '10.80.0.0/16',
});

async function accept({ url, bearer }: Operator, size: Size): Promise<Accepted> {
  const answer = await fetch(`${url}/deckies/deploy`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ini_content: iniOf(size), max_parallel: size.hosts, min_healthy_time: 0 }),
  });
  if (answer.status !== 202) throw new Error(`The deploy was answered ${answer.status}: ${await answer.text()}`);
  await answer.body?.cancel();
  const operationId = answer.headers.get('deckhand-deployment-id') ?? '';
  return { operationId, parent: deployWorkflowId(operationId) };
}

/** What the programs log once they work. */
const READY = { api: /"msg":"api listens"/, worker: /"msg":"worker ready"/ };

async function runOnce(scene: Scene, sql: Sql, deploy: Deckhand['deploy'], size: Size): Promise<Timing> {
  // These agents report when they have something to say; silent for 90 s they would get no deckies.
  await sql`update swarm_hosts set status = 'active', last_heartbeat = now()`;
  const begun = performance.now();
  const { parent, operationId } = await deploy(size);
  const acceptedAt = performance.now();
  const timing = await timed(scene, begun, acceptedAt, {
    parent,
    child: shardWorkflowId(operationId, scene.hosts[0]?.hostUuid ?? ''),
    ended: async () =>
      (await sql`select 1 from decky_lifecycle where status in ('pending', 'running') limit 1`).length === 0,
  });
  const [wrong] = await sql<{ decky_name: string; status: string; error: string | null; rows: number }[]>`
    select min(decky_name) as decky_name, status, error, count(*)::int as rows from decky_lifecycle
    where status <> 'succeeded' group by status, error`;
  if (wrong) throw new Error(`${wrong.rows} rows are ${wrong.status}, ${wrong.decky_name} for one: ${wrong.error}`);
  return timing;
}

/** Deckies are dealt out over the hosts in turn, so that each gets as many. */
export function iniOf({ hosts, deckies }: Size): string {
  const count = hosts * deckies;
  const sections = Array.from({ length: Math.ceil(count / SECTION) }, (_, index) => {
    const amount = Math.min(SECTION, count - index * SECTION);
    return `[d${String(index + 1).padStart(3, '0')}]\namount = ${amount}\nservices = ssh,http\n`;
  });
  return sections.join('\n');
}

async function logIn(url: string, password: string): Promise<string> {
  const answer = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: USER, password }),
  });
  return token.parse(await answer.json()).access_token;
}
