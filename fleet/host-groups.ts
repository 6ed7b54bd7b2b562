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
