/** The pure compose document of a fleet (docs/configuration.md#the-compose-document): what DECNET would write, golden documents included. */
import { contextFolder, fingerprint, isDistroImage, serviceByName } from './catalog.ts';
import type { CustomService, DeckyConfig, DesiredDecky } from './config.ts';
import { DeckhandError } from './errors.ts';
import { parseImageReference } from './image-reference.ts';
import { containerName, serviceContainerName, serviceKey } from './names.ts';
import { serviceSettings } from './service-config.ts';
import { quote } from './text.ts';

export interface ComposeOptions {
  /** The engine's name of the network, `<project>_lan`. */
  readonly networkName: string;
  /** Where build contexts are, one folder a service. */
  readonly templatesRoot: string;
  /** Where services that keep what they caught are mounted to (DECNET: /var/lib/decnet/artifacts). */
  readonly artifactsRoot: string;
}

/** The network's key in the document, whatever its real name is. */
export const NETWORK_KEY = 'decnet_lan';

export const SERVICE_LABELS = Object.freeze({
  marker: 'decnet.fleet.service',
  decky: 'decnet.fleet.decky',
  service: 'decnet.fleet.service_name',
});

/** The root that the catalogue's volumes are written with. */
const CATALOGUE_ARTIFACTS = '/var/lib/decnet/artifacts';
/** Stands for a folder of DECNET's own checkout (`bait/`), which Deckhand does not have. */
const PROJECT_ROOT = '{project_root}';

function baseService(config: DeckyConfig): ComposeService {
  return {
    image: config.base_image,
    container_name: containerName(config.name),
    hostname: config.hostname,
    command: ['sleep', 'infinity'],
    restart: 'unless-stopped',
    networks: { [NETWORK_KEY]: { ipv4_address: config.ip } },
    sysctls: { ...fingerprint(config.nmap_os) },
    cap_add: ['NET_ADMIN'],
  };
}

/** What the composer adds to every service of a decky. */
function attachment(config: DeckyConfig, service: string) {
  return {
    network_mode: `service:${config.name}`,
    depends_on: [config.name],
    logging: { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '5' } },
    labels: {
      [SERVICE_LABELS.marker]: 'true',
      [SERVICE_LABELS.decky]: config.name,
      [SERVICE_LABELS.service]: service,
    },
  };
}

function customService(config: DeckyConfig, custom: CustomService): ComposeService {
  const command = custom.exec_cmd.split(/\s+/).filter((word) => word !== '');
  return {
    image: custom.image,
    container_name: serviceContainerName(config.name, custom.name),
    ...(command.length > 0 ? { command } : {}),
    restart: 'unless-stopped',
    environment: { NODE_NAME: config.name, HOSTNAME: config.hostname },
    ...attachment(config, custom.name),
  };
}

function catalogueService(config: DeckyConfig, name: string, options: ComposeOptions): ComposeService {
  const service = serviceByName(name);
  if (!service)
    throw new DeckhandError('InvalidDecky', `The decky ${quote(config.name)} has an unknown service ${quote(name)}.`);
  const settings = serviceSettings(service, config.service_config[name] ?? {}, config.name);
  const fill = (text: string): string => text.replaceAll('{decky}', config.name);
  const mounts = service.volumes.filter((volume) => !volume.startsWith(PROJECT_ROOT));
  const artifacts = mounts.map((volume) => fill(volume.replace(CATALOGUE_ARTIFACTS, options.artifactsRoot)));
  const volumes = [...artifacts, ...settings.volumes];
  // The variable of a mount that is not made says nothing true.
  const mountless = volumes.length === 0 && service.volumes.length > 0;
  const always = Object.entries(service.env_always).filter(([key]) => !(mountless && key.endsWith('_EMAIL_SEED')));
  return {
    build: {
      context: `${options.templatesRoot}/${contextFolder(service)}`,
      args: { BASE_IMAGE: config.build_base, ...service.build_args_fixed },
    },
    container_name: serviceContainerName(config.name, name),
    restart: service.restart,
    ...(service.cap_add.length > 0 ? { cap_add: [...service.cap_add] } : {}),
    environment: {
      ...Object.fromEntries(always.map(([key, value]) => [key, fill(value)])),
      ...settings.environment,
      HOSTNAME: config.hostname,
    },
    ...(volumes.length > 0 ? { volumes } : {}),
    ...attachment(config, name),
  };
}

function entriesOf({ config, custom_services }: DesiredDecky, options: ComposeOptions): [string, ComposeService][] {
  const custom = new Map(custom_services.map((service) => [service.name, service]));
  // A fleet singleton (sniffer) is no container of a decky; a service that is named twice is one.
  const names = [...new Set(config.services)].filter((name) => serviceByName(name)?.fleet_singleton !== true);
  return [
    [config.name, baseService(config)],
    ...names.map((name): [string, ComposeService] => {
      const own = custom.get(name);
      return [
        serviceKey(config.name, name),
        own ? customService(config, own) : catalogueService(config, name, options),
      ];
    }),
  ];
}

/** The document of these deckies, in order. Throws InvalidDecky for an unknown service or a setting without sense. */
export function composeDocument(deckies: readonly DesiredDecky[], options: ComposeOptions): ComposeDocument {
  const named = options.networkName === NETWORK_KEY ? {} : { name: options.networkName };
  return {
    version: '3.8',
    services: Object.fromEntries(deckies.flatMap((decky) => entriesOf(decky, options))),
    networks: { [NETWORK_KEY]: { external: true, ...named } },
  };
}

/** The part of the Compose file format that Deckhand writes (docs/configuration.md#the-compose-document); keys in the order in which they are written. */
export interface ComposeService {
  image?: string;
  build?: { context: string; args?: Record<string, string> };
  container_name: string;
  hostname?: string;
  command?: string[];
  restart?: string;
  networks?: Record<string, { ipv4_address: string }>;
  sysctls?: Record<string, string>;
  cap_add?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  network_mode?: string;
  depends_on?: string[];
  logging?: { driver: string; options: Record<string, string> };
  labels?: Record<string, string>;
}

export interface ComposeDocument {
  version?: string;
  services: Record<string, ComposeService>;
  networks: Record<string, { external: true; name?: string }>;
}

/** One decky's share of a resolved document: the base container first, then its services in order. */
export interface DeckySpec {
  readonly decky: string;
  /** Service keys in start order; the first is the base, which owns the address. */
  readonly keys: readonly [string, ...string[]];
  readonly services: Readonly<Record<string, ComposeService>>;
  /** An operator stopped it: what there is of its containers must not run. */
  readonly stopped?: boolean;
}

/**
 * From the pure compose document to the one that runs: which image each container really gets (docs/engine.md#images).
 *
 * `builtin`: base containers of a distro of the catalogue get the built-in base image, services of the catalogue the
 * built-in decoy. `catalogue`: base containers keep their image, and services need a context of the operator; one without
 * gets an image name under `.invalid`, which no registry can serve, so that this decky fails with a name that says why
 * instead of the whole request, and no stranger's image is pulled in its place.
 * In both modes an operator's own context wins, and the image of a custom service is never substituted.
 */

export interface ImageSources {
  /** DECKHAND_IMAGES. */
  readonly mode: 'builtin' | 'catalogue';
  /** `deckhand/base:<hash>`. */
  readonly baseImage: string;
  /** `deckhand/<service>:<hash>`; undefined where there is no built-in decoy. */
  readonly serviceImage: (service: string) => string | undefined;
  /** The operator's own context folder for the service (DECKHAND_TEMPLATES), with the tag for its image. */
  readonly operatorContext: (service: string) => { readonly context: string; readonly image: string } | undefined;
}

export interface ResolvedImages {
  readonly document: ComposeDocument;
  readonly deckies: readonly DeckySpec[];
}

/** The image of a service that nobody can build. */
export const missingImage = (service: string): string => `deckhand.invalid/${service}:no-build-context`;

function resolveBase(base: ComposeService, images: ImageSources): ComposeService {
  const substitute = images.mode === 'builtin' && base.image !== undefined && isDistroImage(base.image);
  return substitute ? { ...base, image: images.baseImage } : base;
}

function resolveService(definition: ComposeService, service: string, images: ImageSources): ComposeService {
  const { build, volumes, ...rest } = definition;
  // Without a build it is a custom service.
  if (!build) return definition;
  const own = images.operatorContext(service);
  if (own)
    return { image: own.image, build: { ...build, context: own.context }, ...rest, ...(volumes ? { volumes } : {}) };
  const builtIn = images.mode === 'builtin' ? images.serviceImage(service) : undefined;
  // Built-in decoys log to stdout and read no files, and Docker would make the missing directories of a mount on the
  // host, as root: the mounts stay in the pure document only.
  return { image: builtIn ?? missingImage(service), ...rest };
}

const ownerOf = (definition: ComposeService): string | undefined => definition.labels?.[SERVICE_LABELS.decky];
const serviceOf = (definition: ComposeService): string => definition.labels?.[SERVICE_LABELS.service] ?? '';

/** Resolves every image, and splits the document by decky: base first, then its services in order. */
export function resolveImages(document: ComposeDocument, images: ImageSources): ResolvedImages {
  const resolved = Object.entries(document.services).map(([key, definition]): [string, ComposeService] => [
    key,
    ownerOf(definition) === undefined
      ? resolveBase(definition, images)
      : resolveService(definition, serviceOf(definition), images),
  ]);
  const services = new Map<string, [string, ComposeService][]>();
  for (const entry of resolved) {
    const owner = ownerOf(entry[1]);
    if (owner !== undefined) services.set(owner, [...(services.get(owner) ?? []), entry]);
  }
  const deckies = resolved
    .filter(([, definition]) => ownerOf(definition) === undefined)
    .map(([decky, base]): DeckySpec => {
      const own = services.get(decky) ?? [];
      return {
        decky,
        keys: [decky, ...own.map(([key]) => key)],
        services: Object.fromEntries([[decky, base], ...own]),
      };
    });
  return { document: { ...document, services: Object.fromEntries(resolved) }, deckies };
}

/**
 * Throws InvalidImage for the first image of the decky that is no reference. Asked before anything of the decky is touched,
 * and for one decky at a time: an order's other deckies have nothing to do with it.
 */
export function assertImages({ services }: DeckySpec): void {
  for (const { container_name, image, build } of Object.values(services)) {
    if (image !== undefined) parseImageReference(image, `image of container ${container_name}`);
    const base = build?.args?.BASE_IMAGE;
    if (base !== undefined) parseImageReference(base, `build_base of container ${container_name}`);
  }
}
