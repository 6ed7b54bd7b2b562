import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAuthority } from '../../adapters/pki/authority.ts';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { swarmDouble } from '../support/master/swarm-double.ts';
import { until } from '../support/until.ts';

const ENDPOINTS = [
  ['GET', '/health'],
  ['GET', '/status'],
  ['POST', '/deploy'],
  ['POST', '/mutate'],
  ['POST', '/teardown'],
  ['POST', '/self-destruct'],
  ['GET', '/nowhere'],
] as const;

describe('whom the agent trusts', () => {
  let host: AgentHost;
  let other: string;
  before(async () => {
    host = await agentHost({ engine: 'simulated' });
    other = await mkdtemp(join(tmpdir(), 'dh-other-ca-'));
    await host.start({ DECKHAND_HEARTBEAT_INTERVAL: '200ms' });
  });
  after(async () => {
    await host?.clean();
    await rm(other, { recursive: true, force: true });
  });

  // proof: agent-trust
  it('lets a client of a foreign CA not past TLS, whatever name it has', async () => {
    const foreign = await (await openAuthority(other)).master();
    for (const [method, path] of ENDPOINTS) await assert.rejects(host.call(method, path, undefined, foreign));
  });

  // proof: agent-trust
  it('refuses another host’s certificate on every endpoint', async () => {
    const neighbour = await host.authority.issue({ name: 'neighbour', sans: ['127.0.0.1'] });
    for (const [method, path] of ENDPOINTS) {
      const { status, body } = await host.call(method, path, method === 'POST' ? {} : undefined, neighbour);
      assert.equal(status, 403, `${method} ${path}`);
      assert.match(JSON.stringify(body), /master only/);
    }
    assert.equal((await host.call('GET', '/health')).status, 200);
  });

  it('refuses certificates of the master’s own that are not the one it was given', async () => {
    const server = await host.authority.server([]);
    const path = join(host.directory, '..', 'ca', 'master');
    await rm(path, { recursive: true });
    const another = await (await openAuthority(join(host.directory, '..', 'ca'))).master();
    for (const impostor of [server, another])
      assert.equal((await host.call('GET', '/health', undefined, impostor)).status, 403);
  });

  // proof: agent-trust
  it('reports to the master only: another host that poses as it is sent nothing', async () => {
    await host.call('POST', '/deploy', host.order([host.decky('one', 11)], { min_healthy_time_ms: 0 }));
    await until('a decky that succeeded', () => host.master.deltas().some(({ status }) => status === 'succeeded'));
    const neighbour = await host.authority.issue({ name: 'neighbour', sans: ['127.0.0.1', 'swarmctl.example'] });
    const impostor = await swarmDouble(host.authority, neighbour);
    const path = join(host.directory, 'agent.json');
    const facts = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    try {
      await host.end('SIGTERM');
      await writeFile(path, JSON.stringify({ ...facts, master_url: impostor.url }));
      await host.start({ DECKHAND_HEARTBEAT_INTERVAL: '100ms' });
      await until('three calls of the impostor', () => impostor.connections > 2);
      assert.ok(impostor.connections > 2, 'nobody tried to report there');
      assert.deepEqual(impostor.requests, []);
    } finally {
      await impostor.away();
      await writeFile(path, JSON.stringify(facts));
    }
  });

  it('answers bodies that are not right as DECNET’s agent does', async () => {
    const missing = (field: string) => ({
      type: 'missing',
      loc: ['body', 'config', field],
      msg: 'Field required',
      input: { mode: 'swarm' },
    });
    assert.deepEqual(await host.call('POST', '/deploy', { config: { mode: 'swarm' } }), {
      status: 422,
      body: { detail: ['interface', 'subnet', 'gateway', 'deckies'].map(missing) },
    });
    const order = host.order([host.decky('one', 11)]);
    const strange = {
      ...order,
      config: { ...order.config, deckies: [{ ...order.config.deckies[0], nmap: 1, mutate_interval: '5' }] },
    };
    const { status, body } = await host.call('POST', '/deploy', strange);
    assert.equal(status, 422);
    const details = (body as { detail: { type: string; loc: unknown[] }[] }).detail;
    assert.deepEqual(details.map(({ type, loc }) => [type, loc.at(-1)]).sort(), [
      ['extra_forbidden', 'nmap'],
      ['int_type', 'mutate_interval'],
    ]);
    assert.equal((await host.call('POST', '/deploy', '{')).status, 422);
    assert.equal((await host.call('POST', '/teardown', undefined)).status, 422);
    assert.equal((await host.call('POST', '/deploy', ' '.repeat(5 * 1024 * 1024))).status, 413);
  });

  it('answers a dry mutation, and one of a decky that it does not have', async () => {
    const name = `${host.prefix}-one`;
    const dry = (decky_id: string) => host.call('POST', '/mutate', { decky_id, services: ['ftp'], dry_run: true });
    assert.deepEqual(await dry(name), { status: 200, body: { status: 'dry_run', decky_id: name, services: ['ftp'] } });
    assert.deepEqual(await dry('nope'), { status: 404, body: { detail: "decky 'nope' not found in worker state" } });
  });
});
