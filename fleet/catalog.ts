/**
 * Typed access to catalog.json: the services, archetypes, distros and OS families that a fleet can
 * name.
 */
import catalogue from './catalog.json' with { type: 'json' };

type ConfigKeyType = 'string' | 'textarea' | 'password' | 'int' | 'bool' | 'enum' | 'multi_enum';

/** One key that a service sub-section understands. */
export interface ConfigKey {
  readonly key: string;
  readonly type: ConfigKeyType;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly secret: boolean;
  /**
   * The environment variable that carries it into the container; absent where the key is declared
   * but without effect.
   */
  readonly env?: string;
  readonly applied_to_compose: boolean;
  /** What it does, in a few words. */
  readonly description?: string;
  /** False: read from an INI, but offered in no form. */
  readonly declared_in_schema?: boolean;
}

export interface CatalogService {
  readonly name: string;
  readonly default_ports: readonly number[];
  readonly udp_ports_default: readonly number[];
  /** `decnet/templates/<folder>`. */
  readonly build_context: string;
  readonly build_args_fixed?: Readonly<Record<string, string>>;
  readonly fleet_singleton: boolean;
  readonly selectable_for_deckies: boolean;
  readonly restart: string;
  readonly cap_add: readonly string[];
  /** `{decky}` stands for the decky's name. */
  readonly env_always: Readonly<Record<string, string>>;
  /** Compose short syntax; `{decky}` and `{project_root}` are placeholders. */
  readonly volumes: readonly string[];
  readonly service_cfg_keys: readonly ConfigKey[];
}

export interface Archetype {
  readonly slug: string;
  readonly display_name: string;
  readonly services: readonly string[];
  readonly nmap_os: string;
  readonly preferred_distros: readonly string[];
}

type HostnameStyle = 'generic' | 'rhel' | 'minimal' | 'rolling';

export interface Distro {
  readonly slug: string;
  readonly display_name: string;
  readonly image: string;
  readonly build_base: string;
  readonly hostname_style: HostnameStyle;
}

// The compiler widens the literals of a JSON file to `string`; test/unit/catalog.test.ts holds the
// file to these types.
export const SERVICES = catalogue.services as readonly CatalogService[];
export const ARCHETYPES: readonly Archetype[] = catalogue.archetypes;
/** In registration order, which the default rotation of distros follows. */
export const DISTROS = catalogue.distros as readonly Distro[];
export const DEFAULT_NMAP_OS = catalogue.os_fingerprint_default;
export const DEFAULT_BUILD_BASE = catalogue.default_build_base;
export const HOSTNAME_WORDS: readonly string[] = catalogue.hostname_rules.words;
export const RANDOM_SERVICE_COUNT = { min: catalogue.service_random_pick.min, max: catalogue.service_random_pick.max };

const SERVICE_BY_NAME: ReadonlyMap<string, CatalogService> = new Map(SERVICES.map((entry) => [entry.name, entry]));
const ARCHETYPE_BY_SLUG: ReadonlyMap<string, Archetype> = new Map(ARCHETYPES.map((entry) => [entry.slug, entry]));
const DISTRO_BY_SLUG: ReadonlyMap<string, Distro> = new Map(DISTROS.map((entry) => [entry.slug, entry]));
const FINGERPRINTS: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(
  Object.entries(catalogue.os_fingerprints),
);
const DISTRO_IMAGES: ReadonlySet<string> = new Set(DISTROS.map((entry) => entry.image));

/**
 * Names that `services=` may hold, sorted. Fleet singletons (`sniffer`) are no service of a decky.
 */
export const SELECTABLE_SERVICES: readonly string[] = SERVICES.filter((entry) => entry.selectable_for_deckies)
  .map((entry) => entry.name)
  .sort();
export const ARCHETYPE_SLUGS: readonly string[] = ARCHETYPES.map((entry) => entry.slug).sort();
export const NMAP_OS_FAMILIES: readonly string[] = [...FINGERPRINTS.keys()].sort();

export const serviceByName = (name: string): CatalogService | undefined => SERVICE_BY_NAME.get(name);
export const archetypeBySlug = (slug: string): Archetype | undefined => ARCHETYPE_BY_SLUG.get(slug);
export const distroBySlug = (slug: string): Distro | undefined => DISTRO_BY_SLUG.get(slug);

/** True for the base image of a distro of the catalogue, which built-in images may stand in for. */
export const isDistroImage = (image: string): boolean => DISTRO_IMAGES.has(image);

/**
 * The sysctls of an OS family; an unknown family gets those of linux
 * (docs/configuration.md#the-compose-document).
 */
export function fingerprint(nmapOs: string): Readonly<Record<string, string>> {
  return FINGERPRINTS.get(nmapOs) ?? FINGERPRINTS.get(DEFAULT_NMAP_OS) ?? {};
}

/** The folder of a service's build context below a templates root (`smtp` for smtp_relay). */
export const contextFolder = (service: CatalogService): string =>
  service.build_context.split('/').at(-1) ?? service.name;
