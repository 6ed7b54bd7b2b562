/**
 * What a container is created with. Pure.
 *
 * 1. Labels: Compose's own, so that `docker compose` can take over, and ours, which say whose it is.
 * 2. The config hash of Compose v2 (docker/compose v2.40.3, pkg/compose/hash.go): the SHA-256 of a service as Go's
 *    encoding/json writes it. Where the hashes are equal, `docker compose up` leaves our containers alone. It covers the keys
 *    of fleet/compose.ts, volumes as binds only (`/host:/container[:ro|rw]`), which is all that Deckhand writes.
 * 3. The body of the request.
 */

import { createHash } from 'node:crypto';
import { dirname, posix } from 'node:path';
import type Docker from 'dockerode';
import type { ComposeService } from '../../fleet/compose.ts';
import type { EngineScope } from '../engine.ts';

export const LABEL = Object.freeze({
  instance: 'deckhand.instance',
  project: 'deckhand.project',
  decky: 'deckhand.decky',
  composeProject: 'com.docker.compose.project',
  composeService: 'com.docker.compose.service',
  composeConfigHash: 'com.docker.compose.config-hash',
  composeImage: 'com.docker.compose.image',
});

/** The Compose whose file format, labels and config hash are followed (docker/compose v2.40.3). */
const COMPOSE_VERSION = '2.40.3';

const SHARED_NETWORK = /^service:(.+)$/;

/** Key of the service whose network namespace this one shares, or null when it has a network of its own. */
export const networkOwner = (service: ComposeService): string | null =>
  SHARED_NETWORK.exec(service.network_mode ?? '')?.[1] ?? null;

/**
 * The service with our labels among its own. They stand in the written compose file too and count for the config hash,
 * so that a container which `docker compose` made anew from that file is still known as ours.
 */
export function withOwnLabels(key: string, service: ComposeService, scope: EngineScope): ComposeService {
  const own = {
    [LABEL.instance]: scope.instance,
    [LABEL.project]: scope.project,
    [LABEL.decky]: networkOwner(service) ?? key,
  };
  return { ...service, labels: { ...service.labels, ...own } };
}

export interface ComposeLabelFacts {
  readonly key: string;
  readonly configHash: string;
  /** `sha256:…` of the image that the container is made of. */
  readonly imageId: string;
  /** Absolute path of the written compose file. */
  readonly composeFile: string;
}

/** Compose's labels for one container; `service` is one that {@link withOwnLabels} gave. */
export function containerLabels(
  service: ComposeService,
  scope: EngineScope,
  facts: ComposeLabelFacts,
): Record<string, string> {
  return {
    ...service.labels,
    [LABEL.composeProject]: scope.project,
    [LABEL.composeService]: facts.key,
    [LABEL.composeConfigHash]: facts.configHash,
    [LABEL.composeImage]: facts.imageId,
    'com.docker.compose.container-number': '1',
    'com.docker.compose.oneoff': 'False',
    'com.docker.compose.depends_on': (service.depends_on ?? [])
      .map((name) => `${name}:service_started:false`)
      .join(','),
    'com.docker.compose.project.config_files': facts.composeFile,
    'com.docker.compose.project.working_dir': dirname(facts.composeFile),
    'com.docker.compose.version': COMPOSE_VERSION,
  };
}

/** Whose a container or network is, in words, from its labels. */
export function ownerInWords(labels: Readonly<Record<string, string>> | undefined): string {
  const instance = labels?.[LABEL.instance];
  if (instance) return `Deckhand instance ${instance}, project ${labels?.[LABEL.project] ?? 'unknown'}`;
  const project = labels?.[LABEL.composeProject];
  return project
    ? `the Compose project ${project}, without a label of Deckhand`
    : 'somebody else, without a label of Deckhand';
}

// 2. The config hash

/** Go's structs keep their order and its maps are sorted; a JavaScript object would put keys that look like integers first. */
type GoObject = Map<string, unknown>;
type Entry = readonly [string, unknown];

/** Go escapes these five in every string; all else JSON.stringify writes alike. */
const GO_ESCAPED = /[<>&\u2028\u2029]/g;
const goEscape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

function goJson(value: unknown): string {
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${goJson(key)}:${goJson(item)}`).join(',')}}`;
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`;
  return JSON.stringify(value).replace(GO_ESCAPED, goEscape);
}

const byUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const goMap = (map: Readonly<Record<string, unknown>>): GoObject =>
  new Map(
    Object.keys(map)
      .sort(byUtf8)
      .map((key) => [key, map[key]]),
  );

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === '' ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (value instanceof Map && value.size === 0);

/** Go's `omitempty`. */
const withoutEmpty = (entries: readonly Entry[]): Entry[] => entries.filter(([, value]) => !isEmpty(value));

function goVolume(text: string): GoObject {
  const [source = '', target = '', mode] = text.split(':');
  const cleanTarget = posix.normalize(target).replace(/(.)\/$/, '$1');
  return new Map(
    withoutEmpty([
      ['type', 'bind'],
      ['source', source],
      ['target', cleanTarget],
      ['read_only', mode === 'ro'],
      ['bind', new Map([['create_host_path', true]])],
    ]),
  );
}

const goNetworks = (networks: NonNullable<ComposeService['networks']>): GoObject =>
  new Map([...goMap(networks)].map(([key, value]) => [key, goMap(value as Record<string, unknown>)]));

const goLogging = ({ driver, options }: NonNullable<ComposeService['logging']>): GoObject =>
  new Map(
    withoutEmpty([
      ['driver', driver],
      ['options', goMap(options)],
    ]),
  );

/**
 * `baseId` is the id of the container whose network a service shares: Compose hashes `network_mode` with the reference
 * resolved, so that a service is made anew when its base was.
 */
export function composeConfigHash(service: ComposeService, baseId: string | null): string {
  const networkMode = networkOwner(service) === null ? service.network_mode : `container:${baseId ?? ''}`;
  const entries: Entry[] = [
    ...withoutEmpty([['cap_add', service.cap_add]]),
    ['command', service.command ?? null],
    ...withoutEmpty([['container_name', service.container_name]]),
    ['entrypoint', null],
    ...withoutEmpty([
      ['environment', service.environment && goMap(service.environment)],
      ['hostname', service.hostname],
      ['image', service.image],
      ['labels', service.labels && goMap(service.labels)],
      ['logging', service.logging && goLogging(service.logging)],
      ['network_mode', networkMode],
      ['networks', service.networks && goNetworks(service.networks)],
      ['restart', service.restart],
      ['sysctls', service.sysctls && goMap(service.sysctls)],
      ['volumes', service.volumes?.map(goVolume)],
    ]),
  ];
  return createHash('sha256')
    .update(goJson(new Map(entries)))
    .digest('hex');
}

/** A service of the compose document → what the engine is asked to create, as Compose would ask. */

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
