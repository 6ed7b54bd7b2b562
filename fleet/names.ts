/** Names of deckies, and the container names and compose keys that they make. */
import { DeckhandError } from './errors.ts';
import { quote } from './text.ts';

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

/** The base container of a decky: its name, or `decky-<name>` where Docker refuses that. */
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

interface Claim {
  /** `container x` or `key x`. */
  readonly what: string;
  readonly decky: NamedDecky;
  /** Null: the decky's own base. */
  readonly service: string | null;
}

/** What a decky occupies: container names and compose keys. Phrases are made for a clash only: there are 10,000 deckies. */
function claims(decky: NamedDecky): Claim[] {
  const all: Claim[] = [
    { what: `container ${containerName(decky.name)}`, decky, service: null },
    { what: `key ${decky.name}`, decky, service: null },
  ];
  for (const service of new Set(decky.services)) {
    all.push({ what: `container ${serviceContainerName(decky.name, service)}`, decky, service });
    all.push({ what: `key ${serviceKey(decky.name, service)}`, decky, service });
  }
  return all;
}

function phraseOf({ decky, service }: Claim): string {
  const base = `decky ${quote(decky.name)}`;
  return service === null ? base : `service ${quote(service)} of ${base}`;
}

/**
 * Throws InvalidDecky when a decky of `fresh` would share a container name or a compose key with another of them, with one
 * of `others`, or with itself (`a` with the service `b-c` and `a-b` with the service `c`).
 */
export function assertNamesApart(fresh: readonly NamedDecky[], others: readonly NamedDecky[] = []): void {
  const taken = new Map<string, Claim>();
  for (const decky of others) for (const claim of claims(decky)) taken.set(claim.what, claim);
  for (const decky of fresh) {
    for (const claim of claims(decky)) {
      const holder = taken.get(claim.what);
      if (holder !== undefined)
        throw new DeckhandError(
          'InvalidDecky',
          `${phraseOf(holder)} and ${phraseOf(claim)} would both make the ${claim.what}. Rename one of the deckies.`,
        );
      taken.set(claim.what, claim);
    }
  }
}
