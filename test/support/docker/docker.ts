/**
 * A Docker Engine for tests, and what they need around it: DOCKER_HOST when it is set, else a private dockerd in a temporary
 * directory, stopped at the end. Each scene has an instance, a project and a subnet of its own, and cleans up after itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Docker from 'dockerode';
import { loadBuiltinImages } from '../../../decoys/images.ts';
import { createDockerEngine } from '../../../engine/docker/docker-engine.ts';
import type { ComposeEngine, EngineScope } from '../../../engine/engine.ts';
import type { ComposeService, DeckySpec } from '../../../fleet/compose.ts';
import type { FleetNetwork } from '../../../fleet/config.ts';
import { createLogger } from '../../../lib/logger.ts';
import { unmountBelow } from '../../../stack/docker.ts';

export interface TestDocker {
  /** As in DOCKER_HOST. */
  readonly host: string;
  readonly client: Docker;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
/** Leaves docker0 and the firewall alone, which other engines on the machine share. */
const SETTINGS = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'];

const clientOf = (host: string): Docker => {
  const url = host.startsWith('unix://') ? null : new URL(host);
  return url
    ? new Docker({ host: url.hostname, port: url.port })
    : new Docker({ socketPath: host.slice('unix://'.length) });
};

async function untilAnswers(client: Docker, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`dockerd ended with exit code ${child.exitCode}.`);
    if (
      await client.ping().then(
        () => true,
        () => false,
      )
    )
      return;
    if (Date.now() > until) throw new Error('dockerd did not answer in time.');
    await pause(100);
  }
}

/** Rejects, with the reason, where there is no engine and none can be started. */
export async function testDocker(): Promise<TestDocker> {
  const given = process.env.DOCKER_HOST;
  if (given) return { host: given, client: clientOf(given), stop: () => Promise.resolve() };
  const home = await mkdtemp(join(tmpdir(), 'dh-docker-'));
  const host = `unix://${home}/sock`;
  const directories = ['--data-root', `${home}/data`, '--exec-root', `${home}/exec`, '--pidfile', `${home}/pid`];
  const child = spawn('dockerd', [...directories, '-H', host, ...SETTINGS], { stdio: 'ignore' });
  const ended = new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', resolve);
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    unmountBelow(home);
    await rm(home, { recursive: true, force: true });
  };
  const client = clientOf(host);
  try {
    await untilAnswers(client, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host, client, stop };
}

export interface Scene {
  readonly docker: Docker;
  readonly engine: ComposeEngine;
  readonly scope: EngineScope;
  readonly network: FleetNetwork;
  /** Names begin with it, so that scenes on one engine keep clear of each other. */
  readonly prefix: string;
  /** The image of all containers: node, and a `sleep` that waits for ever. */
  readonly image: string;
  /** The nth address for deckies. */
  ip(n: number): string;
  /** A decky with a base and these services, which sleep unless told otherwise. */
  spec(name: string, n: number, services?: Readonly<Record<string, Partial<ComposeService>>>): DeckySpec;
  /** Another engine on the same Docker, by default of the same instance and project. */
  another(scope?: Partial<EngineScope>, dockerHost?: string): ComposeEngine;
  /** Name → id of the containers of a decky, as Docker has them. */
  ids(decky: string): Promise<Record<string, string>>;
  clean(): Promise<void>;
}

export async function scene(testEngine: TestDocker): Promise<Scene> {
  const prefix = `t${randomBytes(3).toString('hex')}`;
  const scope = { instance: `instance-${prefix}`, project: `project-${prefix}` };
  const subnet = `10.${randomInt(64, 128)}.${randomInt(0, 256)}`;
  const images = await loadBuiltinImages();
  const composeDir = await mkdtemp(join(tmpdir(), 'dh-compose-'));
  const logger = createLogger('test');
  const another = (change: Partial<EngineScope> = {}, dockerHost = testEngine.host): ComposeEngine =>
    createDockerEngine({ dockerHost, scope: { ...scope, ...change }, images, composeDir, logger });
  const engine = another();
  const ip = (n: number): string => `${subnet}.${n + 10}`;
  return {
    docker: testEngine.client,
    engine,
    scope,
    prefix,
    image: images.baseImage,
    network: { driver: 'bridge', interface: '', subnet: `${subnet}.0/24`, gateway: `${subnet}.1` },
    ip,
    another,
    spec: (name, n, services = { http: {}, ssh: {} }) => buildSpec(prefix + name, ip(n), images.baseImage, services),
    async ids(decky) {
      const label = [`deckhand.instance=${scope.instance}`, `deckhand.decky=${decky}`];
      const infos = await testEngine.client.listContainers({ all: true, filters: { label } });
      return Object.fromEntries(infos.map((info) => [info.Names[0]?.slice(1), info.Id]));
    },
    async clean() {
      await engine.purge();
      await rm(composeDir, { recursive: true, force: true });
    },
  };
}

function buildSpec(
  decky: string,
  ip: string,
  image: string,
  services: Readonly<Record<string, Partial<ComposeService>>>,
): DeckySpec {
  const common = { image, command: ['sleep', 'infinity'], restart: 'unless-stopped' };
  const base = { ...common, container_name: decky, hostname: decky, networks: { decnet_lan: { ipv4_address: ip } } };
  const entries = Object.entries(services).map(([name, change]): [string, ComposeService] => [
    `${decky}-${name}`,
    { ...common, container_name: `${decky}-${name}`, network_mode: `service:${decky}`, depends_on: [decky], ...change },
  ]);
  return {
    decky,
    keys: [decky, ...entries.map(([key]) => key)],
    services: Object.fromEntries([[decky, base], ...entries]),
  };
}
