/** What runs: containers of this instance and project as one listing of the engine shows them. */
import type Docker from 'dockerode';
import { raceAbort } from '../../lib/concurrency.ts';
import type { EngineScope } from '../engine.ts';
import { callEngine, READ_TIMEOUT_MS } from './call.ts';
import { LABEL } from './labels.ts';

export interface CurrentContainer {
  readonly id: string;
  readonly name: string;
  readonly decky: string;
  /** Key of the service in the compose document. */
  readonly key: string;
  /** The image's name; its id where the name has come to mean another image since. */
  readonly image: string;
  /** created, running, paused, restarting, removing, exited or dead. */
  readonly state: string;
  readonly configHash: string;
  /** Id of the fleet's network that it is attached to, and its address there. */
  readonly networkId: string | null;
  readonly ip: string | null;
  /** Of its endpoint on that network: another one after each start. */
  readonly endpointId: string | null;
  /** A service whose base was started after it (base-joins.ts). */
  readonly cutOff?: boolean;
  /** The engine can't start it as it is: only one that is made anew can run. */
  readonly unstartable?: boolean;
}

interface EndpointFacts {
  readonly NetworkID: string;
  readonly EndpointID?: string;
  readonly IPAddress: string;
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null;
}

function toCurrent(info: Docker.ContainerInfo, networkName: string): CurrentContainer {
  const endpoint = info.NetworkSettings?.Networks?.[networkName] as EndpointFacts | undefined;
  return {
    id: info.Id,
    name: (info.Names?.[0] ?? info.Id).replace(/^\//, ''),
    decky: info.Labels[LABEL.decky] ?? '',
    key: info.Labels[LABEL.composeService] ?? '',
    image: info.Image,
    state: info.State,
    configHash: info.Labels[LABEL.composeConfigHash] ?? '',
    networkId: endpoint?.NetworkID || null,
    ip: endpoint?.IPAMConfig?.IPv4Address || endpoint?.IPAddress || null,
    endpointId: endpoint?.EndpointID || null,
  };
}

interface Batch {
  readonly deckies: Set<string>;
  everything: boolean;
  readonly promise: Promise<readonly CurrentContainer[]>;
}

/**
 * Lists containers. Those who ask in one turn of the event loop share one listing, which begins after all of them asked:
 * twelve deckies on their way up cost one call, and nobody is answered from before his question.
 */
export class ContainerListing {
  readonly #docker: Docker;
  readonly #scope: EngineScope;
  readonly #networkName: string;
  #open: Batch | null = null;

  constructor(docker: Docker, scope: EngineScope, networkName: string) {
    this.#docker = docker;
    this.#scope = scope;
    this.#networkName = networkName;
  }

  /** Containers of one decky. */
  async ofDecky(decky: string, signal?: AbortSignal): Promise<readonly CurrentContainer[]> {
    const all = await raceAbort(
      this.#join((batch) => batch.deckies.add(decky)),
      signal,
    );
    return all.filter((container) => container.decky === decky);
  }

  /** Containers of all deckies of the project. */
  all(signal?: AbortSignal): Promise<readonly CurrentContainer[]> {
    const everything = this.#join((batch) => {
      batch.everything = true;
    });
    return raceAbort(everything, signal);
  }

  #join(enter: (batch: Batch) => void): Promise<readonly CurrentContainer[]> {
    this.#open ??= this.#newBatch();
    enter(this.#open);
    return this.#open.promise;
  }

  #newBatch(): Batch {
    const turn = new Promise((resolve) => setImmediate(resolve));
    const batch: Batch = {
      deckies: new Set(),
      everything: false,
      promise: turn.then(() => {
        this.#open = null;
        const [only] = batch.deckies;
        return this.#list(!batch.everything && batch.deckies.size === 1 ? only : undefined);
      }),
    };
    return batch;
  }

  async #list(decky: string | undefined): Promise<readonly CurrentContainer[]> {
    const label = [`${LABEL.instance}=${this.#scope.instance}`, `${LABEL.project}=${this.#scope.project}`];
    if (decky !== undefined) label.push(`${LABEL.decky}=${decky}`);
    const infos = await callEngine(
      { doing: 'listing of containers', signal: undefined, timeoutMs: READ_TIMEOUT_MS },
      (abortSignal) => this.#docker.listContainers({ all: true, filters: { label }, abortSignal }),
    );
    return infos.map((info) => toCurrent(info, this.#networkName));
  }
}
