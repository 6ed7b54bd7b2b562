/** A host of a swarm that reports by heartbeat, and what the master made of it: one anew for each test of the `describe` that asks for it. */
import assert from 'node:assert/strict';
import { recordTransitions } from '../../../adapters/postgres/rows.ts';
import type { DeckyConfig } from '../../../fleet/config.ts';
import { createSwarmHarness, type SwarmAnswer, type SwarmHarness } from '../master/swarm-harness.ts';

type Enrolled = Awaited<ReturnType<SwarmHarness['enroll']>>;

/** What marks an agent as ours. */
export const OURS = { deckhand: { version: '0.1.0', network: null, work: [], deckies: {}, unreported: 0 } };

/** A status in which these deckies run, or don't; null: the host's engine says nothing. */
export function statusOf(deckies: readonly DeckyConfig[], running: boolean | null = true, more: object = {}): object {
  const runtime = (decky: DeckyConfig): [string, object] => [
    decky.name,
    { running, services: { ssh: running ? 'running' : 'exited' } },
  ];
  return {
    deployed: true,
    mode: 'swarm',
    deckies,
    runtime: running === null ? {} : Object.fromEntries(deckies.map(runtime)),
    ...more,
  };
}

/** A report of one decky's end, as an agent sends it. */
export const delta = (name: string, more: object = {}): object => ({
  decky_name: name,
  operation: 'deploy',
  status: 'succeeded',
  ...more,
});

interface FleetRow {
  state: string;
  decky_ip: string;
  last_error: string | null;
  config: DeckyConfig;
  established: { config: DeckyConfig } | null;
}

export function reportingHost() {
  let swarm: SwarmHarness;
  let host: Enrolled;
  let number = 0;

  const begin = async (options?: Parameters<typeof createSwarmHarness>[0]): Promise<void> => {
    swarm = await createSwarmHarness(options);
    host = await swarm.enroll('h1');
  };
  beforeEach(() => begin());
  afterEach(() => swarm.close());

  const sql = () => swarm.api.database.sql;

  /** Their rows are open, and no agent has the order yet. */
  async function deployed(...names: string[]) {
    const rows = await swarm.deploy(names);
    const ids = rows.map((row) => row.id);
    const workflowId = await swarm.workflowOf(ids[0] ?? '');
    const [operation] = await sql()<{ deployment_id: string }[]>`
      select deployment_id from decky_lifecycle where id = ${ids[0] ?? ''}`;
    return { ids, workflowId, operationId: operation?.deployment_id ?? '' };
  }
  async function end(ids: readonly string[]): Promise<void> {
    const rows = await swarm.rows(ids);
    await recordTransitions(
      sql(),
      rows.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name, status: 'succeeded' })),
    );
  }
  /** Their rows have ended well. */
  async function up(...names: string[]): Promise<void> {
    const { ids } = await deployed(...names);
    await swarm.dispatch(ids);
    await end(ids);
  }
  async function fleet(name: string): Promise<FleetRow> {
    const [row] = await sql()<FleetRow[]>`
      select state, decky_ip, last_error, decky_config as config, established from fleet_deckies where name = ${name}`;
    return row ?? assert.fail(`no decky ${name}`);
  }

  return {
    get swarm() {
      return swarm;
    },
    get host() {
      return host;
    },
    /** Again, on a swarm with these parts. */
    restart: async (options: Parameters<typeof createSwarmHarness>[0]): Promise<void> => {
      await swarm.close();
      await begin(options);
    },
    sql,
    /** A name that no decky of this process had. */
    fresh: (): string => `d${++number}`,
    deployed,
    end,
    up,
    heartbeat: (body?: object): Promise<SwarmAnswer> => swarm.heartbeat(host, body),
    fleet,
    configs: (names: readonly string[]): Promise<DeckyConfig[]> =>
      Promise.all(names.map(async (name) => (await fleet(name)).config)),
    shards: async () => (await swarm.ports.reports.reportedDeckies()).map((shard) => [shard.decky_name, shard.state]),
    /** The deckies of each report that the workflow was told, in order. */
    told: async (workflowId: string) =>
      (await swarm.reportsTo(workflowId)).map((report) => report.reports.map((one) => one.deckyName)),
  };
}
