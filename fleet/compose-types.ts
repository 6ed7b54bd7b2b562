/** The part of the Compose file format that Deckhand writes (compose.md 1); keys in the order in which they are written. */
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
