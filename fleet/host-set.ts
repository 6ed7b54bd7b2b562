/** The whole desired set of a host at one operation's turn (design, 4.4), and the order that carries it to the agent. */
import { parseAddress } from './addresses.ts';
import type { AgentDeployBody, AgentMutateBody, DecnetConfig, Fence } from './agent-wire.ts';
import type { DesiredDecky, FleetNetwork } from './config.ts';
import { NETWORK_DRIVER } from './config.ts';
import type { Operation } from './lifecycle.ts';
import { OPERATION } from './lifecycle.ts';
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

/** DECNET's default (config.md 1), in minutes. */
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
