/** DECNET's runtime models (docs/configuration.md#models), field for field as they go over the wire. */
export type ServiceConfig = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface DeckyConfig {
  readonly name: string;
  readonly ip: string;
  readonly services: readonly string[];
  readonly distro: string;
  readonly base_image: string;
  readonly build_base: string;
  readonly hostname: string;
  readonly archetype: string | null;
  readonly service_config: ServiceConfig;
  readonly nmap_os: string;
  /** Minutes; null means the inherited interval. */
  readonly mutate_interval: number | null;
  /** Epoch seconds. */
  readonly last_mutated: number;
  readonly last_login_attempt: number;
  readonly host_uuid: string | null;
}

/** A `[custom-x]` section: a service of the operator's own. Stands beside DeckyConfig, which refuses unknown keys. */
export interface CustomService {
  readonly name: string;
  readonly image: string;
  /** Split on white space into the container's command; empty: the image's own. */
  readonly exec_cmd: string;
  readonly ports: readonly number[];
}

/** A decky as it should be, with the custom services that it names. */
export interface DesiredDecky {
  readonly config: DeckyConfig;
  readonly custom_services: readonly CustomService[];
  /** An operator stopped it. */
  readonly stopped?: boolean;
}

export const NETWORK_DRIVER = Object.freeze({ macvlan: 'macvlan', ipvlan: 'ipvlan', bridge: 'bridge' });
export type NetworkDriver = (typeof NETWORK_DRIVER)[keyof typeof NETWORK_DRIVER];

/** The one network of a fleet on an engine. `interface` is the parent of macvlan and ipvlan, and unused by bridge. */
export interface FleetNetwork {
  readonly driver: NetworkDriver;
  readonly interface: string;
  /** CIDR, host bits cleared. */
  readonly subnet: string;
  readonly gateway: string;
}
