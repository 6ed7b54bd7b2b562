/** What an instance of Deckhand left behind: its processes, and what carries its label on the tests' Docker Engine. */
import { connectDocker } from '../../../engine/docker/transport.ts';
import { findByEnvironment } from '../../../lib/process-table.ts';
import { MARK } from '../../../stack/supervised-process.ts';

/** Processes that its supervisor started and that run still. */
export const processesOf = (instance: string): { readonly pid: number; readonly name: string }[] =>
  findByEnvironment(MARK)
    .filter(({ value }) => value.startsWith(`${instance}:`))
    .map(({ pid, value }) => ({ pid, name: value.split(':')[1] ?? value }));

/** Names of containers and networks; none where no engine is given, since an own one ended with its stack. */
export async function onEngine(instance: string, dockerHost = process.env.DOCKER_HOST): Promise<string[]> {
  if (!dockerHost) return [];
  const docker = connectDocker(dockerHost);
  const filters = { label: [`deckhand.instance=${instance}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  return [...containers.flatMap(({ Names }) => Names), ...networks.map(({ Name }) => Name)];
}
