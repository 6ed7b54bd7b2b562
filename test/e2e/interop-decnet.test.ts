/** DECNET 1.0.0's own agent under our master: enrolled, deployed to, heard, taken down. Its engine is a stand-in. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { decnetEnvironment } from '../support/decnet/venv.ts';
import { type MasterProgram, startMaster } from '../support/master/master-program.ts';
import { freePort } from '../support/servers/free-port.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

/** For its heartbeats. */
const PATIENCE_MS = 60_000;
const AGENT = fileURLToPath(new URL('../support/decnet/agent.py', import.meta.url));

interface Enrolled {
  readonly host_uuid: string;
  readonly ca_cert_pem: string;
  readonly worker_cert_pem: string;
  readonly worker_key_pem: string;
}
interface HostView {
  readonly status: string;
}
interface DeckyView {
  readonly name: string;
  readonly ip: string;
  readonly state: string;
}

describe('the agent of DECNET 1.0.0', function () {
  this.timeout(300_000);
  let world: World;
  let master: MasterProgram;
  let agent: ChildProcess | null = null;
  let words = '';
  let host: Enrolled;

  before(async function () {
    const environment = await decnetEnvironment();
    if ('missing' in environment) {
      console.log(`      skipped: ${environment.missing}`);
      this.skip();
    }
    world = await createWorld();
    master = await startMaster(world);
    const agentPort = await freePort();
    const enrolled = await master.askSwarm('POST', '/swarm/enroll', {
      name: 'decnet-1',
      address: '127.0.0.1',
      agent_port: agentPort,
    });
    assert.equal(enrolled.status, 201, JSON.stringify(enrolled.body));
    host = enrolled.body as Enrolled;
    const dir = testDirectory(`${world.id}-decnet`);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'ca.crt'), host.ca_cert_pem);
    writeFileSync(join(dir, 'worker.crt'), host.worker_cert_pem);
    writeFileSync(join(dir, 'worker.key'), host.worker_key_pem, { mode: 0o600 });
    const options = ['--dir', dir, '--port', `${agentPort}`, '--host-uuid', host.host_uuid];
    agent = spawn(
      environment.python,
      [AGENT, ...options, '--master-port', `${master.swarmPort}`, '--fail', 'bad', '--interval', '2'],
      { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [agent.stdout, agent.stderr])
      stream?.on('data', (chunk: Buffer) => (words += chunk.toString()));
  });
  after(async () => {
    if (agent && agent.exitCode === null) {
      const exit = once(agent, 'exit');
      agent.kill('SIGKILL');
      await exit;
    }
    await master?.kill('SIGTERM');
    await world?.close();
  });

  const hostStatus = async (): Promise<string> =>
    ((await master.askSwarm('GET', `/swarm/hosts/${host.host_uuid}`)).body as HostView).status;
  const deckies = async (): Promise<DeckyView[]> =>
    ((await master.ask('GET', '/api/v1/fleet')).body as { deckies: DeckyView[] }).deckies;

  it('is active with its first heartbeat', async () => {
    await until('its first heartbeat', async () => (await hostStatus()) === 'active', PATIENCE_MS).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${words}\n${master.output().slice(-1_500)}`);
      },
    );
  });

  // proof: interop
  it('serves a deploy to the end, and shows its deckies under its own addresses (gap B12)', async () => {
    const accepted = await world.deploy('[a]\nservices=ssh\n[b]\nservices=smb\n');
    assert.equal(accepted.mode, 'swarm');
    const rows = await world.ended(accepted.lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => [row.decky_name, row.status, row.error]),
      [
        ['a', 'succeeded', null],
        ['b', 'succeeded', null],
      ],
    );
    await until(
      'its own addresses',
      async () => (await deckies()).every((decky) => decky.ip.startsWith('10.99.7.')),
      PATIENCE_MS,
    );
  });

  it('a batch that failed fails the decky that does not run, and not its neighbours', async () => {
    const accepted = await world.deploy('[good]\nservices=ssh\n[bad]\nservices=ssh\n');
    const rows = await world.ended(accepted.lifecycle_ids, 200_000);
    assert.deepEqual(
      rows.map((row) => [row.decky_name, row.status]),
      [
        ['good', 'succeeded'],
        ['bad', 'failed'],
      ],
    );
    assert.match(rows[1]?.error ?? '', /CalledProcessError/);
  });

  it('gives a decky other services, and nobody else (gaps C12, C13)', async () => {
    const mutation = { username: 'admin', options: {}, idempotency: null, decky_name: 'a', services: ['http', 'ftp'] };
    const { lifecycle_ids } = await world.deployments.mutate(mutation);
    const [row] = await world.ended(lifecycle_ids);
    assert.deepEqual([row?.operation, row?.status, row?.error], ['mutate', 'succeeded', null]);
    await until(
      'its services',
      async () => {
        const shards = (await master.askSwarm('GET', '/swarm/deckies')).body as {
          decky_name: string;
          services: string[];
        }[];
        const services = Object.fromEntries(shards.map((shard) => [shard.decky_name, shard.services.join()]));
        return services.a === 'http,ftp' && services.b === 'smb';
      },
      PATIENCE_MS,
    );
    const [event] = await world.database.sql<
      { payload: unknown }[]
    >`select payload from outbox where type = 'mutation'`;
    assert.deepEqual(event?.payload, {
      decky: 'a',
      old_services: ['ssh'],
      new_services: ['http', 'ftp'],
      trigger: 'operator',
      actor: 'admin',
    });
  });

  // proof: drift
  it('shows no drift where there is none, and is not asked to keep a decky stopped', async () => {
    // Two heartbeats.
    await pause(4_000);
    const { drift } = (await master.ask('GET', '/api/v1/drift')).body as { drift: unknown[] };
    assert.deepEqual(drift, []);
    const request = { decky_name: 'b' };
    await assert.rejects(world.deployments.operate({ username: 'admin', kind: 'stop', request, options: {} }), {
      code: 'HostCannot',
    });
  });

  // proof: interop
  it('takes one down, and then it is gone from the fleet', async () => {
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    const [row] = await world.ended([lifecycle_id]);
    assert.deepEqual([row?.status, row?.error], ['succeeded', null]);
    assert.deepEqual(
      (await deckies()).filter((decky) => decky.name === 'a'),
      [],
    );
  });
});
