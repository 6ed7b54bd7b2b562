/**
 * What a fleet is configured with. The types of deckies are inferred from the schemas in wire.ts;
 * workflow code imports them from here, since it must not bundle a schema library.
 */
import type { DeckyConfig } from './wire.ts';

export type { CustomService, DeckyConfig, DesiredDecky } from './wire.ts';
export type ServiceConfig = DeckyConfig['service_config'];

export const NETWORK_DRIVER = Object.freeze({ macvlan: 'macvlan', ipvlan: 'ipvlan', bridge: 'bridge' });
export type NetworkDriver = (typeof NETWORK_DRIVER)[keyof typeof NETWORK_DRIVER];

/**
 * The one network of a fleet on an engine. `interface` is the parent of macvlan and ipvlan, and
 * unused by bridge.
 */
export interface FleetNetwork {
  readonly driver: NetworkDriver;
  readonly interface: string;
  /** CIDR, host bits cleared. */
  readonly subnet: string;
  readonly gateway: string;
}
