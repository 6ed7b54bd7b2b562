/** The real agent as a process of its own, with a scripted master, and a project, network and addresses of its own. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { type Authority, type Identity, openAuthority } from '../../../adapters/pki/authority.ts';
import { writeIdentity } from '../../../agent/identity.ts';
import type { AgentDeployBody, AgentStatus, DeployOrder } from '../../../fleet/agent-wire.ts';
import type { DeckyConfig } from '../../../fleet/config.ts';
import { type TestDocker, testDocker } from '../docker/docker.ts';
import { plainDecky } from '../docker/plain-decky.ts';
import { type SwarmDouble, swarmDouble } from '../master/swarm-double.ts';
import { orderOf } from './agent-orders.ts';
import { agentProcess } from './agent-process.ts';
import { callAgent, certificateShownBy, type WireAnswer } from './agent-requests.ts';

export interface AgentHost {
  readonly uuid: string;
  /** Begins the name of each decky, so that hosts of tests keep clear of each other. */
  readonly prefix: string;
  /** The first three octets of its addresses. */
  readonly net: string;
  readonly directory: string;
  readonly authority: Authority;
  readonly identity: Identity;
  readonly master: SwarmDouble;
  readonly docker: Docker | null;
  /** As in DOCKER_HOST; empty for a simulated engine. */
  readonly dockerHost: string;
  start(more?: NodeJS.ProcessEnv): Promise<void>;
  /** Resolves with the exit code once it has ended; null after a kill. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Resolves once the process has ended by itself. */
  ended(): Promise<number | null>;
  /** What it has written to its log, over all starts. */
  log(): string;
  /** As the master, unless told otherwise. Rejects where TLS does not let us in. */
  call(method: 'GET' | 'POST', path: string, body?: unknown, as?: Identity): Promise<WireAnswer>;
  status(): Promise<AgentStatus>;
  /** SHA-256 of the certificate that it shows. */
  serverFingerprint(): Promise<string>;
  /** Names are without the prefix. */
  decky(name: string, n: number, change?: Partial<DeckyConfig>): DeckyConfig;
  order(deckies: readonly DeckyConfig[], order?: Partial<DeployOrder>): AgentDeployBody;
  /** Running containers of this host, by name, with their ids. */
  containers(): Promise<Record<string, string>>;
  clean(): Promise<void>;
}

/** `engine` docker needs DOCKER_HOST, or a machine where a private engine can be started. */
export async function agentHost(options: { engine?: 'docker' | 'simulated' } = {}): Promise<AgentHost> {
  const prefix = `a${randomBytes(3).toString('hex')}`;
  const directory = await mkdtemp(join(tmpdir(), 'dh-agent-'));
  const engine = options.engine ?? 'docker';
  const docker = engine === 'docker' ? await testDocker() : null;
  const authority = await openAuthority(join(directory, 'ca'));
  const [identity, masterIdentity] = [
    await authority.issue({ name: prefix, sans: ['127.0.0.1'] }),
    await authority.master(),
  ];
  const master = await swarmDouble(authority);
  const uuid = randomUUID();
  const net = `10.${randomInt(128, 192)}.${randomInt(0, 256)}`;
  const home = join(directory, 'agent');
  const facts = {
    host_uuid: uuid,
    name: prefix,
    master_url: master.url,
    master_fingerprint: masterIdentity.fingerprint,
    ca_fingerprint: authority.fingerprint,
    agent_port: 0,
  };
  await writeIdentity(home, { facts, caPem: authority.caPem, certPem: identity.certPem, keyPem: identity.keyPem });
  const environment = {
    ...process.env,
    DECKHAND_AGENT_DIR: home,
    DECKHAND_AGENT_HOST: '127.0.0.1',
    DECKHAND_AGENT_NET: `${net}.0/24`,
    DECKHAND_INSTANCE: `instance-${prefix}`,
    DECKHAND_PROJECT: `project-${prefix}`,
    DECKHAND_NETWORK: 'bridge',
    DECKHAND_ENGINE: engine,
    DECKHAND_LOG_LEVEL: 'info',
    ...(docker ? { DOCKER_HOST: docker.host } : {}),
  };
  const agent = agentProcess(environment);
  return {
    uuid,
    prefix,
    net,
    directory: home,
    authority,
    identity,
    master,
    docker: docker?.client ?? null,
    dockerHost: docker?.host ?? '',
    ...agent.control,
    call: (method, path, body, as = masterIdentity) => callAgent(agent.port(), { method, path, body, as }),
    status: async () =>
      (await callAgent(agent.port(), { method: 'GET', path: '/status', as: masterIdentity })).body as AgentStatus,
    serverFingerprint: () => certificateShownBy(agent.port(), masterIdentity),
    decky: (name, n, change = {}) => ({
      ...plainDecky,
      name: `${prefix}-${name}`,
      ip: `192.0.2.${n}`,
      hostname: name,
      host_uuid: uuid,
      ...change,
    }),
    order: (deckies, order = {}) => orderOf(deckies, order),
    containers: () => runningContainers(docker, prefix),
    clean: async () => {
      await agent.control.end('SIGKILL');
      await master.away();
      await purge(docker, prefix);
      await docker?.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const filtersOf = (prefix: string) => ({ label: [`deckhand.instance=instance-${prefix}`] });

async function runningContainers(docker: TestDocker | null, prefix: string): Promise<Record<string, string>> {
  const infos = (await docker?.client.listContainers({ filters: filtersOf(prefix) })) ?? [];
  return Object.fromEntries(infos.map((info) => [info.Names[0]?.slice(1) ?? '', info.Id]));
}

async function purge(docker: TestDocker | null, prefix: string): Promise<void> {
  if (!docker) return;
  const containers = await docker.client.listContainers({ all: true, filters: filtersOf(prefix) });
  await Promise.all(containers.map(({ Id }) => docker.client.getContainer(Id).remove({ force: true, v: true })));
  const networks = await docker.client.listNetworks({ filters: filtersOf(prefix) });
  await Promise.all(networks.map(({ Id }) => docker.client.getNetwork(Id).remove()));
}
