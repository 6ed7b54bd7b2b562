/**
 * What can be asked for, one shape for each kind of request (docs/states/request.md). These schemas are the only source of what the
 * database keeps in `deployments.kind`, `request` and `network`. A request is parsed once, where it is loaded, so what an earlier
 * version stored gets its defaults there.
 */
import { z } from 'zod';
import { NETWORK_DRIVER } from './config.ts';
import { REQUEST_KIND, type RequestKind } from './lifecycle.ts';
import type { NetworkContext } from './network.ts';

/** Who asks for what the clock does, in requests and lists. */
export const RECONCILE_USER = 'reconcile';
export const ROTATION_USER = 'rotation';
/** Who asks when a host is back that has pending teardowns, or deckies otherwise than the fleet. */
export const RETURN_USER = 'host-return';

const subnet = { interface: z.string(), subnet: z.string() };

const MachineNetworks = z.object({
  addresses: z.array(z.object({ ...subnet, address: z.string() })).readonly(),
  routes: z.array(z.object({ ...subnet, gateway: z.string().nullable() })).readonly(),
  engine: z
    .array(z.object({ name: z.string(), subnet: z.string(), interface: z.string().nullable(), own: z.boolean() }))
    .readonly()
    .nullable(),
});

/** The network of the master's machine as it was when the request was made. */
const Network = z.object({
  driver: z.enum(NETWORK_DRIVER),
  host_ip: z.string().nullable(),
  interfaces: z.array(z.string()).readonly(),
  detected: z.object({ ...subnet, gateway: z.string() }).nullable(),
  bridge_pool: z.string().nullable(),
  host: MachineNetworks.nullable().exactOptional(),
}) satisfies z.ZodType<NetworkContext>;

const Deploy = z.object({ ini_content: z.string(), replace_fleet: z.boolean() });

const TeardownOfOne = z.object({ decky_name: z.string() });
const TeardownOfSeveral = z.object({
  /** Null: the whole fleet. */
  host_uuid: z.string().nullable(),
  /** True: only the pending teardowns of the host. */
  owed: z.boolean().default(false),
});

const Mutate = z.object({
  decky_name: z.string(),
  /** Null: drawn. */
  services: z.array(z.string()).readonly().nullable(),
  /** Who wants it: an operator, or the clock (docs/wire.md#events). */
  trigger: z.enum(['operator', 'scheduled']).default('operator'),
});

const Reconcile = z.object({
  /** Null: all that drift. */
  deckies: z.array(z.string()).readonly().nullable(),
  /** A host's uuid, or `local`; null: all. */
  host: z.string().nullable(),
  /** True: what a host has otherwise that is back, after its rows ended without its word. */
  returned: z.boolean().default(false),
});

/** Stopping a decky, or starting it again. */
const Power = z.object({ decky_name: z.string() });

/** All deckies of a host go to others (docs/swarm.md). */
const Move = z.object({ host_uuid: z.string() });

export const OperationRequest = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal(REQUEST_KIND.deploy), request: Deploy, network: Network }),
  z.object({ kind: z.literal(REQUEST_KIND.teardown), request: z.union([TeardownOfOne, TeardownOfSeveral]) }),
  z.object({ kind: z.literal(REQUEST_KIND.mutate), request: Mutate }),
  z.object({ kind: z.literal(REQUEST_KIND.reconcile), request: Reconcile }),
  z.object({ kind: z.literal(REQUEST_KIND.stop), request: Power }),
  z.object({ kind: z.literal(REQUEST_KIND.start), request: Power }),
  z.object({ kind: z.literal(REQUEST_KIND.move), request: Move }),
]);
export type OperationRequest = z.infer<typeof OperationRequest>;

/** A request as somebody makes it, before defaults. */
export type NewOperationRequest = z.input<typeof OperationRequest>;

/** The request of one kind, or of any of several. */
export type RequestOf<K extends RequestKind = RequestKind> = {
  [P in K]: Extract<OperationRequest, { kind: P }> & { readonly kind: P };
}[K];

export type DeployRequest = z.infer<typeof Deploy>;
export type ReconcileRequest = z.input<typeof Reconcile>;
export type SeveralTeardown = z.infer<typeof TeardownOfSeveral>;
