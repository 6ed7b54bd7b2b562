/** Docker: DOCKER_HOST, else the default socket, else a private dockerd of our own, else none: then deckies are simulated. */
import { existsSync } from 'node:fs';
import { findOnPath, runCommand } from './binaries.ts';
import type { Provided, StackContext } from './context.ts';
import { dockerAnswers } from './docker-ping.ts';
import { type DockerEngine, privateDockerd } from './dockerd.ts';

export const DEFAULT_SOCKET = '/var/run/docker.sock';
const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export const findDockerd = (): string | null => findOnPath('dockerd', SBIN);

export async function provideDocker(context: StackContext): Promise<Provided<DockerEngine>> {
  const { environment } = context;
  if (environment.DECKHAND_ENGINE === 'simulated') return simulated('DECKHAND_ENGINE=simulated');
  if (environment.DOCKER_HOST) return external(environment.DOCKER_HOST, 'external, DOCKER_HOST');
  const problem = await dockerAnswers(`unix://${DEFAULT_SOCKET}`);
  if (problem === null) return external(`unix://${DEFAULT_SOCKET}`, `external, ${DEFAULT_SOCKET}`);
  if (process.getuid?.() !== 0)
    return simulated(
      existsSync(DEFAULT_SOCKET)
        ? `${DEFAULT_SOCKET} can’t be used (${problem}), and only root can run a private dockerd`
        : 'there is no Docker Engine, and only root can run a private dockerd',
    );
  const dockerd = findDockerd() ?? (await installFromDebian(context));
  if (typeof dockerd !== 'string') return simulated(dockerd.reason);
  // Where systemd runs, installing the package starts the machine's own engine.
  if ((await dockerAnswers(`unix://${DEFAULT_SOCKET}`)) === null)
    return external(`unix://${DEFAULT_SOCKET}`, `external, ${DEFAULT_SOCKET}`);
  return privateDockerd(context, dockerd);
}

const external = (host: string, origin: string): Provided<DockerEngine> => ({
  process: null,
  origin,
  value: { host, reason: null },
});

export const simulated = (reason: string): Provided<DockerEngine> => ({
  process: null,
  origin: 'simulated',
  value: { host: null, reason },
});

async function installFromDebian(context: StackContext): Promise<string | { readonly reason: string }> {
  const say = context.sayFor('docker');
  if (process.platform !== 'linux' || !findOnPath('apt-get'))
    return { reason: 'there is no Docker Engine, and this is no Debian or Ubuntu to install one on' };
  if (!(await context.confirm('There is no Docker Engine. Install docker.io and iptables with apt-get?')))
    return { reason: 'there is no Docker Engine, and installing one was declined' };
  say('installing docker.io and iptables with apt-get, since there is no Docker Engine');
  try {
    await aptInstall(['docker.io', 'iptables']);
  } catch (error) {
    return { reason: `there is no Docker Engine, and installing docker.io failed: ${(error as Error).message}` };
  }
  return findDockerd() ?? { reason: 'docker.io was installed, but there is no dockerd' };
}

async function aptInstall(packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  try {
    await runCommand('apt-get', install, { env });
  } catch {
    await runCommand('apt-get', ['update'], { env });
    await runCommand('apt-get', install, { env });
  }
}
