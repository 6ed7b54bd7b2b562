/** The networks that an engine has, as facts for planning. */
import type Docker from 'dockerode';
import { addressProblem } from '../../fleet/addresses.ts';
import type { EngineNetwork } from '../../fleet/network.ts';
import { callEngine } from './call.ts';
import { LABEL } from './labels.ts';

/** Whose network is the fleet's own. Without an instance, the name and the project tell. */
export interface NetworkOwner {
  readonly instance?: string;
  readonly project: string;
  readonly networkName: string;
}

/** Name of the network by which it is tried whether the engine can make one (network.ts). */
export const probeNameOf = (networkName: string): string => `${networkName}_probe`;

const isIPv4Subnet = (text: unknown): text is string =>
  typeof text === 'string' && addressProblem(text.split('/')[0] ?? '') === null;

function isOwn({ Name, Labels }: Docker.NetworkInspectInfo, owner: NetworkOwner): boolean {
  const { instance, project, networkName } = owner;
  if (Name !== networkName && Name !== probeNameOf(networkName)) return false;
  return Labels?.[LABEL.project] === project && (instance === undefined || Labels[LABEL.instance] === instance);
}

/** Throws DeckhandError where the engine does not answer in time. */
export async function engineNetworks(
  docker: Docker,
  owner: NetworkOwner,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<EngineNetwork[]> {
  const infos = await callEngine({ doing: 'listing of networks', signal, timeoutMs }, (abortSignal) =>
    docker.listNetworks({ abortSignal }),
  );
  return infos.flatMap((info) => {
    const bridge = info.Options?.['com.docker.network.bridge.name'] ?? `br-${info.Id.slice(0, 12)}`;
    return (info.IPAM?.Config ?? [])
      .map(({ Subnet }) => Subnet)
      .filter(isIPv4Subnet)
      .map((subnet) => ({
        name: info.Name,
        subnet,
        interface: info.Driver === 'bridge' ? bridge : null,
        own: isOwn(info, owner),
      }));
  });
}
