/** Removes all that carries an instance's label, of any project. */
import type Docker from 'dockerode';
import { isDeckhandError } from '../../fleet/errors.ts';
import { pauseFor } from './abort.ts';
import { allSettled, callEngine, READ_TIMEOUT_MS } from './call.ts';
import type { OperationOptions, Purged } from './engine.ts';
import type { Tools } from './execute.ts';
import { LABEL } from './labels.ts';

const PURGE_TRIES = 4;
const PURGE_PAUSE_MS = 400;

interface Purge {
  readonly docker: Docker;
  readonly instance: string;
  readonly tools: Tools;
  readonly options: OperationOptions;
}

export async function purge(given: Purge): Promise<Purged> {
  let containers = 0;
  for (let attempt = 1; ; attempt += 1) {
    containers += await purgeContainers(given);
    try {
      return { containers, networks: await purgeNetworks(given) };
    } catch (error) {
      // A creation that was cut off may end after the listing, and its container hangs on the network.
      const passes = isDeckhandError(error) && error.code === 'EngineBusy';
      if (!passes || attempt >= PURGE_TRIES) throw error;
      await pauseFor(PURGE_PAUSE_MS * attempt, given.options.signal);
    }
  }
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

async function purgeNetworks({ docker, instance, tools, options }: Purge): Promise<number> {
  const { signal, onProgress } = options;
  const read = { signal, timeoutMs: READ_TIMEOUT_MS };
  const infos = await callEngine({ doing: 'listing of networks', ...read }, (abortSignal) =>
    docker.listNetworks({ filters: ofInstance(instance), abortSignal }),
  );
  onProgress?.(`removing ${infos.length} networks`);
  tools.network.forget();
  await allSettled(
    infos.map((info) =>
      callEngine({ doing: `removal of network ${info.Name}`, ...read }, (abortSignal) =>
        docker.getNetwork(info.Id).remove({ abortSignal }),
      ),
    ),
  );
  return infos.length;
}

const ofInstance = (instance: string): { label: string[] } => ({ label: [`${LABEL.instance}=${instance}`] });
