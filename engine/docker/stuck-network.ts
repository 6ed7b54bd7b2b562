/**
 * Networks that Docker keeps because it counts endpoints that are no more. Seen on 20.10 under load: after many containers
 * came and went at once, `inspect` shows none, no container names the network, and yet it "has active endpoints" until the
 * engine is started anew, which counts again.
 */
import type Docker from 'dockerode';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { callEngine, READ_TIMEOUT_MS } from './call.ts';

interface Network {
  readonly id: string;
  readonly name: string;
}

/** Names of all containers on the network, whoever made them, running or not. */
export function containersOn(
  docker: Docker,
  { id, name }: Network,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const doing = `listing of containers on network ${name}`;
  return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    const infos = await docker.listContainers({ all: true, filters: { network: [id] }, abortSignal });
    return infos.map((info) => (info.Names[0] ?? info.Id).replace(/^\//, ''));
  });
}

/** `failure` of a removal → one that says what to do where nothing hangs on the network; null for every other failure. */
export async function stuckNetwork(
  docker: Docker,
  network: Network,
  failure: unknown,
  signal: AbortSignal | undefined,
): Promise<DeckhandError | null> {
  if (!isDeckhandError(failure) || failure.code !== 'EngineBusy') return null;
  if ((await containersOn(docker, network, signal)).length > 0) return null;
  return new DeckhandError(
    'EngineBusy',
    `network ${network.name} can’t be removed: Docker counts endpoints on it, though no container hangs on it. ` +
      'Restart the Docker Engine, which makes it count again.',
    { cause: failure.cause },
  );
}
