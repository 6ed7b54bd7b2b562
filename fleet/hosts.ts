/**
 * What the master decides about hosts. Pure.
 *
 * 1. {@link hostSet}: the whole desired set of a host at one operation's turn (docs/design.md#what-is-sent).
 * 2. {@link deployBody}, {@link mutateBody}: the orders that carry it, or one mutation, to the agent.
 * 3. {@link hostGroups}: how many hosts are at work at one time, and in which groups.
 * 4. {@link refuseReservedNames}: which names and addresses a host may have.
 * 5. {@link questionKey}: which rows a host is asked about together.
 */
import { parseAddress } from './addresses.ts';
import {
  type AgentDeployBody,
  type AgentMutateBody,
  type DecnetConfig,
  type Fence,
  MASTER_NAME,
  SWARMCTL_NAME,
} from './agent-wire.ts';
import { type DesiredDecky, type FleetNetwork, NETWORK_DRIVER } from './config.ts';
import { DeckhandError } from './errors.ts';
import { OPERATION, type Operation } from './lifecycle.ts';
import type { RolloutOptions } from './limits.ts';

/** A member of a host's fleet, with the version that came up last and the row that is open for it. */
export interface HostSetMember {
  readonly desired: DesiredDecky;
  readonly established: DesiredDecky | null;
  readonly open: { readonly workflowId: string; readonly operation: Operation } | null;
}

/**
 * What should run on the host once the operation of `workflowId` is done: what it wants, and of the others what came up
 * last. A later operation's wish is its own to send; what never came up is left out.
 */
export function hostSet(members: readonly HostSetMember[], workflowId: string): DesiredDecky[] {
  const wanted = members.flatMap(({ desired, established, open }) => {
    if (open?.workflowId === workflowId) return open.operation === OPERATION.teardown ? [] : [desired];
    return established ? [established] : [];
  });
  return inOrderOfAddress(
    wanted,
    new Set(members.filter((one) => one.established).map((one) => one.desired.config.name)),
  );
}

/**
 * An agent of DECNET on another subnet deals out its addresses anew, in the order of the list. So those that have one come
 * in the order of their addresses and new ones last: then nobody's changes as long as nobody leaves (gap B12).
 */
function inOrderOfAddress(deckies: readonly DesiredDecky[], settled: ReadonlySet<string>): DesiredDecky[] {
  const rank = ({ config }: DesiredDecky): number =>
    settled.has(config.name) ? parseAddress(config.ip, `The address of ${config.name}`) : Number.MAX_SAFE_INTEGER;
  return deckies
    .map((decky) => ({ decky, rank: rank(decky) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ decky }) => decky);
}

/** What {@link mutateBody} reads of a host's work. */
interface MutateWork {
  readonly rows: readonly { readonly deckyName: string; readonly operation: Operation }[];
  readonly members: readonly HostSetMember[];
  readonly options: RolloutOptions;
}

/** The order for a mutation of one decky, which leaves the others alone; null where the work is something else. */
export function mutateBody({ rows, members, options }: MutateWork, fence: Fence): AgentMutateBody | null {
  const [row] = rows;
  if (rows.length !== 1 || row?.operation !== OPERATION.mutate) return null;
  const member = members.find((one) => one.desired.config.name === row.deckyName);
  if (!member) return null;
  const { config, custom_services } = member.desired;
  return {
    decky_id: config.name,
    services: config.services,
    dry_run: false,
    deckhand: {
      ...fence,
      custom_services: custom_services.length > 0 ? { [config.name]: custom_services } : {},
      ...timing(options),
    },
  };
}

const timing = (options: OrderFacts['options']) => ({
  min_healthy_time_ms: options.minHealthyTimeMs,
  healthy_deadline_ms: options.healthyDeadlineMs,
  progress_deadline_ms: options.progressDeadlineMs,
});

export interface OrderFacts {
  readonly fence: Fence;
  readonly network: FleetNetwork;
  readonly useIpvlan: boolean;
  readonly options: Pick<RolloutOptions, 'minHealthyTimeMs' | 'healthyDeadlineMs' | 'progressDeadlineMs'>;
  readonly deploy: readonly string[];
  readonly remove: readonly string[];
}

/** DECNET's default, in minutes (docs/configuration.md#models). */
const MUTATE_INTERVAL = 30;

export function deployBody(set: readonly DesiredDecky[], facts: OrderFacts): AgentDeployBody {
  const { network, options } = facts;
  const config: DecnetConfig = {
    mode: 'swarm',
    interface: network.interface,
    subnet: network.subnet,
    gateway: network.gateway,
    deckies: set.map((decky) => decky.config),
    log_file: null,
    ipvlan: facts.useIpvlan || network.driver === NETWORK_DRIVER.ipvlan,
    mutate_interval: MUTATE_INTERVAL,
  };
  const stopped = set.filter((decky) => decky.stopped).map((decky) => decky.config.name);
  const custom = set.filter((decky) => decky.custom_services.length > 0);
  return {
    config,
    dry_run: false,
    no_cache: false,
    deckhand: {
      ...facts.fence,
      deploy: facts.deploy,
      remove: facts.remove,
      ...(stopped.length > 0 ? { stopped } : {}),
      custom_services: Object.fromEntries(custom.map((decky) => [decky.config.name, decky.custom_services])),
      ...timing(options),
    },
  };
}

/** Hosts of a large deployment, in groups of about the same size, and the part of `max_parallel` that each group has. */

export interface HostGroups<T> {
  readonly groups: readonly (readonly T[])[];
  /** A width for each group that may be at work at the same time; together they are no more than the deployment's. */
  readonly widths: readonly number[];
}

/** How many hosts may be at work at the same time: `max_parallel`, or 25 % of them and at least 8. */
export const widthOf = (maxParallel: number | null, hosts: number): number =>
  maxParallel ?? Math.max(8, Math.ceil(hosts / 4));

export function hostGroups<T>(hosts: readonly T[], width: number, most: number): HostGroups<T> {
  const rest = [...hosts];
  const groups = dealt(hosts.length, Math.ceil(hosts.length / most)).map((size) => rest.splice(0, size));
  return { groups, widths: dealt(width, Math.min(width, groups.length)) };
}

/** `count` as so many whole numbers that differ by one at most, the larger ones first. */
const dealt = (count: number, into: number): number[] =>
  Array.from({ length: into }, (_, at) => Math.floor(count / into) + (at < count % into ? 1 : 0));

/** Names and addresses that a host may have, and those that belong to the master itself (docs/wire.md#enrolment). */

/** A host's name: 1 to 64 characters. */
export const HOST_NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A host's address, and each of its further names: an IP or a DNS name, 1 to 253 characters. */
export const HOST_ADDRESS_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/;
/** `agent_name` of DECNET's bundle flow (docs/wire.md#bundles). */
export const BUNDLE_NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** DECNET's updater is a client of its own on each host: `updater@<host>`. */
const UPDATER_PREFIX = 'updater';

/** True for names of the master's own, in any case, and with the dot that may end a DNS name. */
export function isReservedName(name: string): boolean {
  const plain = name.toLowerCase().replace(/\.+$/, '');
  return plain === MASTER_NAME || plain === SWARMCTL_NAME || plain.startsWith(UPDATER_PREFIX);
}

/** Throws HostNameReserved when one of the names that a host's certificate would carry is the master's own. */
export function refuseReservedNames(host: {
  readonly name: string;
  readonly address?: string;
  readonly sans?: readonly string[];
}): void {
  const names = [host.name, ...(host.address === undefined ? [] : [host.address]), ...(host.sans ?? [])];
  const reserved = names.find(isReservedName);
  if (reserved === undefined) return;
  throw new DeckhandError('HostNameReserved', `The name '${reserved}' belongs to the master itself. Choose another.`);
}

/** Rows with the same key are asked about in one question to their host: its status is read against the rows of one workflow. */
export const questionKey = ({
  hostUuid,
  workflowId,
}: {
  readonly hostUuid: string | null;
  readonly workflowId: string;
}) => `${hostUuid} ${workflowId}`;
