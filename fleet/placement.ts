/** Which host each decky of a request goes to (wire.md 1.3 step 6; ours.md: deckies stay where they run). */

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
