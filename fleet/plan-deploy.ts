/** The pure plan of one deploy request: what would be, from the INI, the fleet as it is, and the machine's network. */
import type { DeckyConfig, DesiredDecky, FleetNetwork } from './config.ts';
import { buildDeckies, type ExpandedDecky, expandSections, requestedCount } from './deckies.ts';
import { seededRandom } from './draw.ts';
import { DeckhandError } from './errors.ts';
import { parseIni } from './ini.ts';
import type { Operation } from './lifecycle.ts';
import { LIMITS } from './limits.ts';
import { assertNamesApart } from './names.ts';
import { hostAddresses, type NetworkContext, resolveNetwork } from './network.ts';
import type { DeployRequest } from './requests.ts';
import { portWarnings, Warnings } from './warnings.ts';

export type { NetworkContext };

/** A decky of the fleet, as of its latest accepted operation. */
export interface FleetMember {
  readonly desired: DesiredDecky;
  readonly host_uuid: string | null;
  /** Succeeded once; one that never did is replaced by an additive deploy of its name. */
  readonly established: boolean;
  readonly open: { readonly lifecycle_id: string; readonly operation: Operation } | null;
  /** The host that could not be reached for its teardown, which begins anew when that is back. */
  readonly teardownPendingOn?: string | null;
}

export interface FleetSnapshot {
  readonly network: FleetNetwork | null;
  readonly members: readonly FleetMember[];
  /** Deployment limit: deckies that the fleet may have. */
  readonly limit: number;
  /** Enrolled hosts; absent: none. */
  readonly hosts?: readonly PlacementHost[];
}

export interface DeployPlan {
  readonly mode: 'unihost' | 'swarm';
  readonly network: FleetNetwork;
  /** One lifecycle row each, in INI order. */
  readonly deckies: readonly DesiredDecky[];
  /** With replace_fleet: the members that go. */
  readonly removed: readonly FleetMember[];
  readonly warnings: readonly string[];
  /** The same, each with the decky whose event tells it: the first that it is about, else the first of all. */
  readonly told: readonly { readonly decky: string; readonly warning: string }[];
}

function toldOf({ told }: Warnings, deckies: readonly ExpandedDecky[]): DeployPlan['told'] {
  const byOwner = new Map<string, string>();
  for (const { name, section } of [...deckies].reverse()) byOwner.set(section.name, name).set(name, name);
  const first = deckies[0]?.name;
  return told.flatMap(({ owner, text }) => {
    const decky = (owner === null ? undefined : byOwner.get(owner)) ?? first;
    return decky === undefined ? [] : [{ decky, warning: text }];
  });
}

const nameOf = (member: FleetMember): string => member.desired.config.name;
/** Engines may have containers of it, so its name, address and network are taken. */
const isLive = (member: FleetMember): boolean => member.established || member.open !== null;

/** An open row comes first: whether the name is free is only known when it has ended. */
function checkBusy(members: readonly FleetMember[]): void {
  for (const member of members) {
    if (member.open)
      throw new DeckhandError(
        'DeckyBusy',
        `decky '${nameOf(member)}' is busy: its ${member.open.operation} is still open. Wait until the lifecycle row ${member.open.lifecycle_id} has ended.`,
      );
  }
}

/** Its host was removed: nobody can be asked for it, and it moves with the next deploy. */
const isStranded = ({ host_uuid }: FleetMember, hosts: readonly PlacementHost[] | undefined): boolean =>
  host_uuid !== null && hosts?.every((host) => host.uuid !== host_uuid) === true;

function checkExists(members: readonly FleetMember[]): void {
  const owed = members.find((member) => member.teardownPendingOn);
  if (owed)
    throw new DeckhandError(
      'DeckyExists',
      `decky '${nameOf(owed)}' is being taken down: host ${owed.teardownPendingOn}, which may still run it, does not answer, and its teardown begins anew when the host is back. Submit with replace_fleet=true to have the decky again, or wait.`,
    );
  const holder = members.find((member) => member.established);
  if (holder)
    throw new DeckhandError(
      'DeckyExists',
      `decky '${nameOf(holder)}' already exists; submit with replace_fleet=true to overwrite the fleet`,
    );
}

function checkLimit(total: number, limit: number): void {
  if (total > limit)
    throw new DeckhandError(
      'DeploymentLimit',
      `Deployment would result in ${total} deckies, exceeding the configured limit of ${limit}`,
    );
}

/** What a replaced decky keeps where the INI leaves it open; one that never came up has nothing worth keeping. */
const continuity = (members: readonly FleetMember[]): ReadonlyMap<string, DeckyConfig> =>
  new Map(members.filter((member) => member.established).map((member) => [nameOf(member), member.desired.config]));

/**
 * Plans one request. The same request, fleet, context and seed make the same plan. Throws DeckhandError with an HTTP
 * status: InvalidIni, IniTooLarge, InvalidDecky, InvalidAddress, AddressInUse, PoolExhausted, NetworkConflict,
 * DeckyBusy, DeckyExists, DeploymentLimit.
 */
export function planDeploy(
  request: DeployRequest,
  fleet: FleetSnapshot,
  context: NetworkContext,
  seed: string,
): DeployPlan {
  const ini = parseIni(request.ini_content);
  // Before names are made: a text within the size limit can ask for millions of deckies.
  checkLimit(requestedCount(ini), Math.max(fleet.limit, LIMITS.deploymentLimitMax));
  const expansion = expandSections(ini);
  const wanted = new Set(expansion.deckies.map(({ name }) => name));
  const replace = request.replace_fleet;
  const same = fleet.members.filter((member) => wanted.has(nameOf(member)));
  const others = fleet.members.filter((member) => !wanted.has(nameOf(member)));
  // What a lost host may still run keeps its name and address; its teardown is owed already.
  const staying = replace ? others.filter((member) => member.teardownPendingOn) : others;

  checkBusy(replace ? fleet.members : same);
  if (!replace) checkExists(same.filter((member) => !isStranded(member, fleet.hosts)));
  const moving = replace ? [] : others.filter((one) => one.established && !one.open && isStranded(one, fleet.hosts));
  const present = fleet.members.some(isLive) ? fleet.network : null;
  const { network, warnings } = resolveNetwork(ini.general, present, replace, context, fleet.network);
  checkLimit(wanted.size + staying.length, fleet.limit);
  const deckies = buildDeckies(ini, {
    subnet: network.subnet,
    gateway: network.gateway,
    hostAddresses: [
      ...(context.host_ip === null ? [] : [context.host_ip]),
      ...hostAddresses(context.host, fleet.network),
    ],
    reserved: staying.map(({ desired }) => desired.config.ip),
    random: seededRandom(seed),
    existing: replace ? continuity(same) : new Map(),
  });
  assertNamesApart(
    deckies.map(({ config }) => config),
    staying.map(({ desired }) => desired.config),
  );
  const all = new Warnings();
  all.addAll(ini.warnings);
  all.addAll(expansion.warnings);
  const moves = moving.map((member) => `decky '${nameOf(member)}' moves, since its host is not enrolled any more`);
  for (const text of [...warnings, ...portWarnings(deckies), ...moves]) all.add(null, () => text);
  const placed = place([...deckies, ...moving.map(({ desired }) => desired)], [...same, ...moving], fleet.hosts ?? []);
  const swarm = candidateHosts(fleet.hosts ?? []).length > 0 || placed.some(({ config }) => config.host_uuid !== null);
  return {
    mode: swarm ? 'swarm' : 'unihost',
    network,
    deckies: placed,
    removed: replace ? others.filter((member) => !member.teardownPendingOn) : [],
    warnings: all.texts,
    told: toldOf(all, expansion.deckies),
  };
}

function place(
  deckies: readonly DesiredDecky[],
  members: readonly FleetMember[],
  hosts: readonly PlacementHost[],
): DesiredDecky[] {
  const placed = new Map(members.map((member) => [nameOf(member), member]));
  const places = placeDeckies(
    deckies.map(({ config }) => config.name),
    placed,
    hosts,
  );
  return deckies.map((decky) => ({
    ...decky,
    config: { ...decky.config, host_uuid: places.get(decky.config.name) ?? null },
  }));
}

/** Which host each decky of a request goes to (docs/swarm.md#placement): deckies stay where they run. */

export interface PlacementHost {
  readonly uuid: string;
  readonly name: string;
  readonly address: string;
  readonly status: 'enrolled' | 'active' | 'unreachable';
  /** Takes no new deckies. */
  readonly draining: boolean;
}

/** Where a decky of the fleet is; null: on the master's own engine. */
export interface Placed {
  readonly host_uuid: string | null;
  /** Came up once, so that its containers may run there. */
  readonly established: boolean;
}

const byName = (a: PlacementHost, b: PlacementHost): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** Hosts that new deckies may go to, in the order of their names. */
export const candidateHosts = <T extends PlacementHost>(hosts: readonly T[]): T[] =>
  hosts.filter((host) => host.status !== 'unreachable' && host.address !== '' && !host.draining).sort(byName);

/**
 * A decky that came up once stays where it is, also on a host that is silent or draining (gaps B9, B10). One that never did
 * keeps its host while that is a candidate. The others are dealt out in turn over the candidates, from the first; without
 * candidates they are the master's own.
 */
export function placeDeckies(
  names: readonly string[],
  placed: ReadonlyMap<string, Placed>,
  hosts: readonly PlacementHost[],
): ReadonlyMap<string, string | null> {
  const candidates = candidateHosts(hosts);
  const enrolled = new Set(hosts.map((host) => host.uuid));
  let next = 0;
  const place = (name: string): string | null => {
    const now = placed.get(name);
    const host = now?.host_uuid ?? null;
    if (now?.established && (host === null || enrolled.has(host))) return host;
    if (now && host !== null && candidates.some((candidate) => candidate.uuid === host)) return host;
    if (candidates.length === 0) return null;
    return candidates[next++ % candidates.length]?.uuid ?? null;
  };
  return new Map(names.map((name) => [name, place(name)]));
}
