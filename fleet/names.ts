/** Names of deckies, and the container names and compose keys that they make. */
import { DeckhandError } from './errors.ts';
import { quote } from './quote.ts';

export const DECKY_NAME_PATTERN = '^[A-Za-z0-9\\-_.]+$';
export const DECKY_NAME_LENGTH = 128;

/** `.` and `..` are no names on any path (URLs, artifacts); `__proto__` is none for a JavaScript object. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['.', '..', '__proto__']);
const DOCKER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]+$/;

/** Throws InvalidDecky for a name that no decky can have. */
export function assertDeckyName(name: string): void {
  if (name.length > DECKY_NAME_LENGTH)
    throw new DeckhandError(
      'InvalidDecky',
      `The decky name ${quote(`${name.slice(0, 40)}…`)} has ${name.length} characters; a name has at most ${DECKY_NAME_LENGTH}. Shorten it.`,
    );
  if (!/^[A-Za-z0-9\-_.]+$/.test(name))
    throw new DeckhandError(
      'InvalidDecky',
      `The decky name ${quote(name)} should match pattern '${DECKY_NAME_PATTERN}'. Rename the section.`,
    );
  if (RESERVED_NAMES.has(name))
    throw new DeckhandError('InvalidDecky', `The decky name ${quote(name)} is reserved. Rename the section.`);
}

const dockerName = (name: string): string => (DOCKER_NAME.test(name) ? name : `decky-${name}`);

/** The base container of a decky: its name, or `decky-<name>` where Docker refuses that (ours.md). */
export const containerName = (decky: string): string => dockerName(decky);

/** The container of a service: underscores become dashes, as the status probe expects it (gap C17). */
export const serviceContainerName = (decky: string, service: string): string =>
  dockerName(`${decky}-${service.replaceAll('_', '-')}`);

/** The compose key of a service, name verbatim. */
export const serviceKey = (decky: string, service: string): string => `${decky}-${service}`;

export interface NamedDecky {
  readonly name: string;
  readonly services: readonly string[];
}

/** What a decky occupies: container names and compose keys, each with a phrase that says by what. */
function claims(decky: NamedDecky): [claim: string, by: string][] {
  const base = `decky ${quote(decky.name)}`;
  const all: [string, string][] = [
    [`container ${containerName(decky.name)}`, base],
    [`key ${decky.name}`, base],
  ];
  for (const service of new Set(decky.services)) {
    const by = `service ${quote(service)} of ${base}`;
    all.push([`container ${serviceContainerName(decky.name, service)}`, by]);
    all.push([`key ${serviceKey(decky.name, service)}`, by]);
  }
  return all;
}

/**
 * Throws InvalidDecky when a decky of `fresh` would share a container name or a compose key with another of them, with one
 * of `others`, or with itself (`a` with the service `b-c` and `a-b` with the service `c`).
 */
export function assertNamesApart(fresh: readonly NamedDecky[], others: readonly NamedDecky[] = []): void {
  const taken = new Map<string, string>(others.flatMap(claims));
  for (const decky of fresh) {
    for (const [claim, by] of claims(decky)) {
      const holder = taken.get(claim);
      if (holder !== undefined)
        throw new DeckhandError(
          'InvalidDecky',
          `${holder} and ${by} would both make the ${claim}. Rename one of the deckies.`,
        );
      taken.set(claim, by);
    }
  }
}
