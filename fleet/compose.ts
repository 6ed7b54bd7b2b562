/** The pure compose document of a fleet (compose.md 1): what DECNET would write, golden documents included. */
import { contextFolder, fingerprint, serviceByName } from './catalog.ts';
import type { ComposeDocument, ComposeService } from './compose-types.ts';
import type { CustomService, DeckyConfig, DesiredDecky } from './config.ts';
import { DeckhandError } from './errors.ts';
import { containerName, serviceContainerName, serviceKey } from './names.ts';
import { quote } from './quote.ts';
import { serviceSettings } from './service-config.ts';

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
