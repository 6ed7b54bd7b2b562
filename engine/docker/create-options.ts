/** A service of the compose document → what the engine is asked to create, as Compose would ask. */
import type Docker from 'dockerode';
import type { ComposeService } from '../../fleet/compose.ts';
import { networkOwner } from './labels.ts';

export interface CreateFacts {
  readonly key: string;
  readonly image: string;
  readonly labels: Record<string, string>;
  readonly networkName: string;
  /** Id of the container whose network is shared; null for the base. */
  readonly baseId: string | null;
}

/** A decoy keeps nothing that a slow end would save. Seconds. */
const STOP_TIMEOUT_S = 1;

function restartPolicy(restart: string | undefined): Docker.HostRestartPolicy | undefined {
  if (restart === undefined) return undefined;
  const [name = 'no', attempts] = restart.split(':');
  return { Name: name, MaximumRetryCount: Number(attempts ?? 0) };
}

function networking(service: ComposeService, facts: CreateFacts): Docker.ContainerCreateOptions['NetworkingConfig'] {
  const [endpoint] = Object.values(service.networks ?? {});
  if (networkOwner(service) !== null || !endpoint) return undefined;
  return {
    EndpointsConfig: {
      [facts.networkName]: {
        Aliases: [service.container_name, facts.key],
        IPAMConfig: { IPv4Address: endpoint.ipv4_address },
      },
    },
  };
}

function networkMode(service: ComposeService, facts: CreateFacts): string | undefined {
  if (networkOwner(service) !== null) return `container:${facts.baseId}`;
  return service.networks ? facts.networkName : service.network_mode;
}

const withoutUndefined = <T extends object>(object: T): T =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;

/** Body of `POST /containers/create`. */
export function createOptions(service: ComposeService, facts: CreateFacts): Docker.ContainerCreateOptions {
  return withoutUndefined<Docker.ContainerCreateOptions>({
    Image: facts.image,
    Cmd: service.command,
    Hostname: service.hostname,
    Env: Object.entries(service.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    Labels: facts.labels,
    AttachStdout: true,
    AttachStderr: true,
    StopTimeout: STOP_TIMEOUT_S,
    NetworkingConfig: networking(service, facts),
    HostConfig: withoutUndefined<Docker.HostConfig>({
      NetworkMode: networkMode(service, facts),
      Sysctls: service.sysctls,
      CapAdd: service.cap_add,
      Binds: service.volumes,
      RestartPolicy: restartPolicy(service.restart),
      LogConfig: service.logging && { Type: service.logging.driver, Config: service.logging.options },
    }),
  });
}
