/** Removes all that carries an instance's label, of any project. */
import type Docker from 'dockerode';
import { isDeckhandError } from '../../fleet/errors.ts';
import { pauseFor } from '../../lib/concurrency.ts';
import type { OperationOptions, Purged } from '../engine.ts';
import { LABEL } from './create-options.ts';
import type { Tools } from './execute.ts';
import { stuckNetwork } from './network.ts';
import { allSettled, callEngine, READ_TIMEOUT_MS } from './transport.ts';

const PURGE_TRIES = 4;
const PURGE_PAUSE_MS = 400;

interface Purge {
  readonly docker: Docker;
  readonly instance: string;
  readonly tools: Tools;
  readonly options: OperationOptions;
}

/** A network that could not be removed. */
interface Kept {
  readonly id: string;
  readonly name: string;
  readonly failure: unknown;
}

export async function purge(given: Purge): Promise<Purged> {
  let containers = 0;
  let networks = 0;
  for (let attempt = 1; ; attempt += 1) {
    containers += await purgeContainers(given);
    const { removed, kept } = await purgeNetworks(given);
    networks += removed;
    // A creation that was cut off may end after the listing, and its container hangs on the network.
    const mayPass = kept.every(({ failure }) => isDeckhandError(failure) && failure.code === 'EngineBusy');
    if (kept.length > 0 && mayPass && attempt < PURGE_TRIES)
      await pauseFor(PURGE_PAUSE_MS * attempt, given.options.signal);
    else return { containers, networks, stuck: await sentencesOf(kept, given) };
  }
}

/** Throws the failure of a network that is not stuck. */
function sentencesOf(kept: readonly Kept[], { docker, options }: Purge): Promise<string[]> {
  return Promise.all(
    kept.map(async ({ id, name, failure }) => {
      const stuck = await stuckNetwork(docker, { id, name }, failure, options.signal);
      if (!stuck) throw failure;
      return stuck.message;
    }),
  );
}

async function purgeContainers({ docker, instance, tools, options }: Purge): Promise<number> {
  const { signal, onProgress } = options;
  const read = { doing: 'listing of containers', signal, timeoutMs: READ_TIMEOUT_MS };
  const infos = await callEngine(read, (abortSignal) =>
    docker.listContainers({ all: true, filters: ofInstance(instance), abortSignal }),
  );
  onProgress?.(`removing ${infos.length} containers`);
  await allSettled(infos.map((info) => tools.containers.remove(info.Id, info.Names[0] ?? info.Id, signal)));
  return infos.length;
}

async function purgeNetworks({ docker, instance, tools, options }: Purge): Promise<{ removed: number; kept: Kept[] }> {
  const { signal, onProgress } = options;
  const read = { signal, timeoutMs: READ_TIMEOUT_MS };
  const infos = await callEngine({ doing: 'listing of networks', ...read }, (abortSignal) =>
    docker.listNetworks({ filters: ofInstance(instance), abortSignal }),
  );
  onProgress?.(`removing ${infos.length} networks`);
  tools.network.forget();
  const kept: Kept[] = [];
  const removal = async ({ Id: id, Name: name }: Docker.NetworkInspectInfo): Promise<void> => {
    try {
      await callEngine({ doing: `removal of network ${name}`, ...read }, (abortSignal) =>
        docker.getNetwork(id).remove({ abortSignal }),
      );
    } catch (failure) {
      signal?.throwIfAborted();
      kept.push({ id, name, failure });
    }
  };
  await allSettled(infos.map(removal));
  return { removed: infos.length - kept.length, kept };
}

const ofInstance = (instance: string): { label: string[] } => ({ label: [`${LABEL.instance}=${instance}`] });
