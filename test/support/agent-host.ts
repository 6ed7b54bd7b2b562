/** The real agent as a process of its own, with a scripted master, and a project, network and addresses of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import type Docker from 'dockerode';
import { type Authority, fingerprintOf, type Identity, openAuthority } from '../../adapters/pki/authority.ts';
import { writeIdentity } from '../../agent/identity.ts';
import type { AgentDeployBody, AgentStatus, DeployOrder } from '../../fleet/agent-wire.ts';
import catalog from '../../fleet/catalog.json' with { type: 'json' };
import type { DeckyConfig } from '../../fleet/config.ts';
import { programArguments } from '../../stack/root.ts';
import { type TestDocker, testDocker } from './docker.ts';
import { type SwarmDouble, swarmDouble } from './swarm-double.ts';

export interface WireAnswer {
  readonly status: number;
  readonly body: unknown;
}

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
    call: (method, path, body, as = masterIdentity) => call(agent.port(), { method, path, body, as }),
    status: async () =>
      (await call(agent.port(), { method: 'GET', path: '/status', as: masterIdentity })).body as AgentStatus,
    serverFingerprint: () => shownBy(agent.port(), masterIdentity),
    decky: (name, n, change = {}) => ({
      ...PLAIN,
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

/** Debian's, of the catalogue: a built-in image stands in for it. */
const IMAGE = catalog.distros[0]?.image ?? '';
const PLAIN = {
  services: ['http'],
  distro: 'debian',
  base_image: IMAGE,
  build_base: IMAGE,
  archetype: null,
  service_config: {},
  nmap_os: 'linux',
  mutate_interval: null,
  last_mutated: 0,
  last_login_attempt: 0,
};

/** Health is short, so that tests are. */
function orderOf(deckies: readonly DeckyConfig[], order: Partial<DeployOrder>): AgentDeployBody {
  return {
    config: {
      mode: 'swarm',
      interface: 'eth0',
      subnet: '192.0.2.0/24',
      gateway: '192.0.2.1',
      deckies,
      log_file: null,
      ipvlan: false,
      mutate_interval: 30,
    },
    dry_run: false,
    no_cache: false,
    deckhand: {
      operation_id: randomUUID(),
      attempt: 1,
      deploy: deckies.map(({ name }) => name),
      remove: [],
      custom_services: {},
      min_healthy_time_ms: 300,
      healthy_deadline_ms: 30_000,
      progress_deadline_ms: 60_000,
      ...order,
    },
  };
}

function agentProcess(environment: NodeJS.ProcessEnv) {
  let child: ChildProcess | null = null;
  let port = 0;
  const ended = async (): Promise<number | null> => {
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  };
  return {
    port: () => port,
    control: {
      ended,
      start: async (more: NodeJS.ProcessEnv = {}): Promise<void> => {
        const started = spawn(process.execPath, programArguments('agent', 'run'), {
          env: { ...environment, ...more, ...(port === 0 ? {} : { DECKHAND_AGENT_PORT: String(port) }) },
          stdio: ['ignore', 'pipe', process.env.DECKHAND_TEST_VERBOSE ? 'inherit' : 'pipe'],
        });
        child = started;
        const text = await firstLines(started, '"agent ready"');
        const ready = text.split('\n').find((line) => line.includes('"agent ready"'));
        if (!ready) throw new Error(`The agent did not start: ${text}${String(started.stderr?.read() ?? '')}`);
        port = (JSON.parse(ready) as { port: number }).port;
      },
      end: async (signal: NodeJS.Signals): Promise<number | null> => {
        if (child && child.exitCode === null && child.signalCode === null) child.kill(signal);
        return ended();
      },
    },
  };
}

/** What it prints up to the line with `word`, or to its end; goes on reading, so that it can go on printing. */
function firstLines(child: ChildProcess, word: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += String(chunk);
      if (process.env.DECKHAND_TEST_VERBOSE) process.stderr.write(String(chunk));
      if (text.includes(word) && text.endsWith('\n')) resolve(text);
    });
    child.once('exit', () => resolve(text));
  });
}

/** A body of more characters is announced and not sent: who refuses it closes the connection while it is still being written. */
const ANNOUNCED_FROM = 4 * 1024 * 1024;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly as: Identity;
}

function call(port: number, { method, path, body, as }: Call): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        agent: false,
        cert: as.certPem,
        key: as.keyPem,
        ca: as.caPem,
        headers: { 'content-type': 'application/json' },
        // Whom we trust is not what is tested here.
        rejectUnauthorized: false,
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
        });
        response.once('error', reject);
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, body: parsed(answer) });
          sent.destroy();
        });
      },
    );
    sent.once('error', reject);
    if (text === undefined || text.length <= ANNOUNCED_FROM) sent.end(text);
    else {
      sent.setHeader('content-length', Buffer.byteLength(text));
      sent.flushHeaders();
    }
  });
}

async function shownBy(port: number, { certPem: cert, keyPem: key }: Identity): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, cert, key, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const fingerprint = fingerprintOf(socket.getPeerCertificate().raw);
  socket.destroy();
  return fingerprint;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
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

/** Waits for what a test wants to see; at the end the last sight decides, so that an assertion says what was there. */
export async function until(check: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await check()) && Date.now() < deadline) await sleep(50);
}
