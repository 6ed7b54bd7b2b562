/** The simulated agents that load tests and the bench use speak the agent's wire: tried with the master's own client. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type AgentAddress, type AgentClient, createAgentClient } from '../../adapters/agent/client.ts';
import { type Authority, openAuthority } from '../../adapters/pki/authority.ts';
import type { AgentDeployBody, AgentStatus, HeartbeatBody } from '../../fleet/agent-wire.ts';
import { plainDecky } from '../support/docker/plain-decky.ts';
import { makeHosts, SimulatedAgents, type SimulatedHost } from '../support/simulated-agents/launch.ts';
import type { Mode } from '../support/simulated-agents/protocol.ts';
import { testDirectory } from '../support/stack/stack.ts';

const MODES: readonly Mode[] = ['ready', 'silent', 'lost-delta', 'hold', 'dead'];

interface Heard {
  readonly body: HeartbeatBody;
  readonly name: string;
}

describe('simulated agents', () => {
  let authority: Authority;
  let client: AgentClient;
  let agents: SimulatedAgents;
  let master: Server;
  let hosts: readonly SimulatedHost[];
  const heard: Heard[] = [];
  /** Heartbeats with deltas are answered so until there are none left. */
  const answers: number[] = [];

  const statusOf = async (host: AgentAddress) => (await client.status(host)).body as unknown as AgentStatus;
  const addressOf = (mode: Mode) => {
    const host = hosts[MODES.indexOf(mode)] as SimulatedHost;
    const { hostUuid, name, fingerprint } = host;
    return {
      hostUuid,
      name,
      address: '127.0.0.1',
      port: agents.ready.ports[hostUuid] || 1,
      fingerprints: [fingerprint],
    };
  };
  const deltasOf = (mode: Mode) =>
    heard.filter(({ body }) => body.host_uuid === addressOf(mode).hostUuid && body.lifecycle).map(({ body }) => body);

  before(async () => {
    const directory = testDirectory('simulated');
    authority = await openAuthority(`${directory}/ca`);
    const [identity, server] = await Promise.all([authority.master(), authority.server([])]);
    client = createAgentClient(() => Promise.resolve(identity));
    hosts = await makeHosts(authority, `${directory}/hosts`, MODES.length);
    master = createServer(
      { ca: server.caPem, cert: server.certPem, key: server.keyPem, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        const name = (request.socket as TLSSocket).getPeerCertificate().subject.CN as string;
        let text = '';
        request.on('data', (chunk) => {
          text += chunk;
        });
        request.on('end', () => {
          const body = JSON.parse(text) as HeartbeatBody;
          heard.push({ body, name });
          response.writeHead(body.lifecycle ? (answers.shift() ?? 204) : 204).end();
        });
      },
    );
    await new Promise<void>((resolve) => master.listen(0, '127.0.0.1', resolve));
    agents = await SimulatedAgents.for(
      hosts,
      { directory: `${directory}/hosts` },
      (host) => MODES[hosts.indexOf(host)] as Mode,
    );
    await agents.reportTo(`https://127.0.0.1:${(master.address() as AddressInfo).port}`);
  });

  after(async () => {
    await agents.stop();
    await client.close();
    master.closeAllConnections();
    master.close();
  });

  it('report each decky of an order with its fence, until the master answers 204, and work once', async () => {
    answers.push(503);
    const host = addressOf('ready');
    await client.deploy(host, order('op-1', ['a', 'b'], ['c']));
    await client.deploy(host, order('op-1', ['a', 'b'], ['c']));
    await until(() => deltasOf('ready').length === 2);
    const [first, second] = deltasOf('ready');
    assert.deepEqual(first?.lifecycle, second?.lifecycle);
    assert.deepEqual(
      first?.lifecycle?.map(({ decky_name, operation, status, operation_id, attempt, sequence }) => [
        ...[decky_name, operation, status, operation_id, attempt, sequence],
      ]),
      [
        ['a', 'deploy', 'succeeded', 'op-1', 1, 1],
        ['b', 'deploy', 'succeeded', 'op-1', 1, 2],
        ['c', 'teardown', 'succeeded', 'op-1', 1, 3],
      ],
    );
    assert.equal(heard[0]?.name, host.name);
    const body = await statusOf(host);
    assert.deepEqual(Object.keys(body.runtime ?? {}), ['a', 'b']);
    assert.equal(body.deckhand?.deckies.a?.status, 'succeeded');
    await assert.rejects(client.deploy(host, order('op-1', ['a'], [], 0)), { code: 'HostRefused' });
  });

  it('say in their status what was never reported', async () => {
    for (const mode of ['silent', 'lost-delta'] as const) {
      await client.deploy(addressOf(mode), order('op-2', ['a'], []));
      const wanted = mode === 'silent' ? 'running' : 'succeeded';
      await until(async () => (await statusOf(addressOf(mode))).deckhand?.deckies.a?.status === wanted);
      assert.equal(deltasOf(mode).length, 0);
    }
  });

  it('keep their reports until they are told to push, and try once then', async () => {
    await client.deploy(addressOf('hold'), order('op-3', ['a'], []));
    await until(async () => (await statusOf(addressOf('hold'))).deckhand?.unreported === 1);
    answers.push(503);
    const limits = { connectMs: 5_000, answerMs: 10_000 };
    assert.deepEqual((await agents.push(limits)).outcomes, { '503': 1 });
    assert.deepEqual((await agents.push(limits)).outcomes, {});
    assert.equal(deltasOf('hold').length, 1);
  });

  it('do not listen when they are dead', async () => {
    await assert.rejects(client.health(addressOf('dead')), { code: 'HostUnreachable' });
  });

  it('obey the master only', async () => {
    const stranger = await authority.issue({ name: 'host-of-another-kind', sans: [] });
    const impostor = createAgentClient(() => Promise.resolve(stranger));
    await assert.rejects(impostor.status(addressOf('ready')), /403, not the master/);
    await impostor.close();
  });
});

const order = (operation_id: string, deploy: string[], remove: string[], attempt = 1): AgentDeployBody => ({
  config: {
    mode: 'swarm',
    interface: 'eth0',
    subnet: '10.78.0.0/16',
    gateway: '10.78.0.1',
    deckies: deploy.map((name, index) => ({ ...plainDecky, name, hostname: name, ip: `10.78.0.${index + 2}` })),
    log_file: null,
    ipvlan: false,
    mutate_interval: null,
  },
  dry_run: false,
  no_cache: false,
  deckhand: {
    operation_id,
    attempt,
    deploy,
    remove,
    custom_services: {},
    min_healthy_time_ms: 0,
    healthy_deadline_ms: 1_000,
    progress_deadline_ms: 1_000,
  },
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds()); ) {
    assert.ok(Date.now() < end, 'it did not come about within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
