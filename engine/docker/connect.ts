/** DOCKER_HOST → a client of the Docker Engine. */
import { Agent } from 'node:http';
import Docker from 'dockerode';
import { DeckhandError } from '../../fleet/errors.ts';
import { opaque } from '../../lib/opaque.ts';
import { useOwnTransport } from './transport.ts';

/**
 * `unix:///path`, `npipe:////./pipe/name`, `tcp://host:port` or `http://host:port`. Connections are kept and used again,
 * which saves one of the two trips of a call.
 */
export function connectDocker(dockerHost: string): Docker {
  const local = /^(?:unix|npipe):\/\/(.+)$/.exec(dockerHost)?.[1];
  const agent = opaque(new Agent({ keepAlive: true }), 'agent');
  // `host: undefined` keeps dockerode from taking the host out of the environment.
  if (local) return useOwnTransport(new Docker(Object.assign({ socketPath: local }, { agent, host: undefined })));
  const url = URL.canParse(dockerHost) ? new URL(dockerHost) : null;
  if (url && ['tcp:', 'http:'].includes(url.protocol))
    return useOwnTransport(
      new Docker(Object.assign({ host: url.hostname, port: url.port || '2375' }, { agent, protocol: 'http' as const })),
    );
  throw new DeckhandError(
    'InvalidParameters',
    `DOCKER_HOST: ${JSON.stringify(dockerHost)} can't be used; write unix:///path or tcp://host:port`,
  );
}

/** Whether the engine runs on this machine, so that this machine's interfaces are in its way. */
export function isLocalEngine(docker: Docker): boolean {
  const { socketPath, host = '' } = docker.modem as { socketPath?: unknown; host?: string };
  return socketPath !== undefined || host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}
