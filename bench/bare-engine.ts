/** The peer without Deckhand: the containers of a resolved compose file by bare dockerode calls. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { parse } from 'yaml';
import { createOptions, networkOwner } from '../engine/docker/create-options.ts';
import type { ComposeDocument, ComposeService } from '../fleet/compose.ts';
import { LIMITS } from '../fleet/limits.ts';

/** Last byte of the address of what keeps the network. */
const HOLDER_ADDRESS = '250';

/** A decky as the file has it: the base, then what shares its network. */
export interface Decky {
  readonly base: readonly [string, ComposeService];
  readonly services: readonly (readonly [string, ComposeService])[];
}

export function readDeckies(file: string): readonly Decky[] {
  // Compose writes a `$` as two.
  const text = readFileSync(file, 'utf8').replaceAll('$$', '$');
  const entries = Object.entries((parse(text) as ComposeDocument).services);
  return entries
    .filter(([, service]) => networkOwner(service) === null)
    .map((base) => ({ base, services: entries.filter(([, service]) => networkOwner(service) === base[0]) }));
}

export class BareEngine {
  readonly #docker: Docker;
  readonly #networkName: string;

  constructor(docker: Docker, project: string) {
    this.#docker = docker;
    this.#networkName = `${project}_lan`;
  }

  /**
   * Keeps the fleet's network in place for all columns, by a container that runs on it: the file calls the network external,
   * and Deckhand removes one that nobody uses. Returns what gives it free again.
   */
  async holdNetwork(image: string): Promise<() => Promise<void>> {
    const { IPAM } = await this.#docker.getNetwork(this.#networkName).inspect();
    // The stack's networks are /24, and ten deckies take the first addresses.
    const address = String(IPAM?.Config?.[0]?.Subnet).replace(/\d+\/24$/, HOLDER_ADDRESS);
    const holder = await this.#docker.createContainer({
      name: `${this.#networkName}_holder`,
      Image: image,
      Cmd: ['sleep', 'infinity'],
      HostConfig: { NetworkMode: this.#networkName },
      NetworkingConfig: { EndpointsConfig: { [this.#networkName]: { IPAMConfig: { IPv4Address: address } } } },
    });
    await holder.start();
    return () => holder.remove({ force: true });
  }

  /** Base first, then its services side by side; as many deckies at the same time as Deckhand allows. */
  async up(deckies: readonly Decky[]): Promise<void> {
    const queue = [...deckies];
    const lane = async (): Promise<void> => {
      for (let decky = queue.shift(); decky; decky = queue.shift()) await this.#bringUp(decky);
    };
    await Promise.all(Array.from({ length: LIMITS.localParallel }, lane));
  }

  async #bringUp({ base, services }: Decky): Promise<void> {
    const baseId = await this.#run(base, null);
    await Promise.all(services.map((service) => this.#run(service, baseId)));
  }

  async #run([key, service]: readonly [string, ComposeService], baseId: string | null): Promise<string> {
    const { labels = {}, image = '', container_name: name } = service;
    const body = createOptions(service, { key, image, labels, networkName: this.#networkName, baseId });
    const options = { _query: { name }, _body: body };
    const container = await this.#docker.createContainer(options as Docker.ContainerCreateOptions);
    await container.start();
    return container.id;
  }

  /** Removes all containers with this label, whoever made them. */
  async clear(label: string): Promise<void> {
    const containers = await this.#docker.listContainers({ all: true, filters: { label: [label] } });
    await Promise.all(containers.map(({ Id }) => this.#removeForce(Id)));
  }

  /** Throws when a container with this label is left. */
  async assertClear(label: string): Promise<void> {
    const left = await this.#docker.listContainers({ all: true, filters: { label: [label] } });
    if (left.length > 0) throw new Error(`A teardown left ${left.length} containers behind.`);
  }

  /** Seen with Docker 20.10: 500 "did not receive an exit event" on a forced removal, which passes. */
  async #removeForce(id: string): Promise<void> {
    const remove = () => this.#docker.getContainer(id).remove({ force: true, v: true });
    await remove().catch(async () => {
      await sleep(500);
      await remove().catch((error: { statusCode?: number }) => {
        if (error.statusCode !== 404) throw error;
      });
    });
  }
}
