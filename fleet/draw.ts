/**
 * What is drawn at random for a decky.
 *
 * 1. {@link drawHostname}, {@link drawServices}: what the INI leaves open.
 * 2. {@link seededRandom}: the sources of random numbers, and how something is picked by them.
 * 3. {@link drawMutation}: the services that a mutation gives a decky.
 */
import {
  archetypeBySlug,
  type Distro,
  HOSTNAME_WORDS,
  RANDOM_SERVICE_COUNT,
  SELECTABLE_SERVICES,
  serviceByName,
} from './catalog.ts';
import type { DesiredDecky } from './config.ts';
import { DeckhandError, isDeckhandError } from './errors.ts';
import { assertNamesApart, type NamedDecky } from './names.ts';
import { quoteList } from './text.ts';

/** A hostname in the style of the distro (docs/configuration.md#from-sections-to-deckies). */
export function drawHostname(distro: Distro, random: Random): string {
  const word = pick(HOSTNAME_WORDS, random);
  const number = integerBetween(10, 99, random);
  switch (distro.hostname_style) {
    case 'rhel':
      return `${word}${number}.localdomain`;
    case 'minimal':
      return `${word}-${number}`;
    case 'rolling':
      return `${word}-${pick(HOSTNAME_WORDS, random)}`;
    default:
      return `SRV-${word.toUpperCase()}-${number}`;
  }
}

const portsOf = (service: string): readonly number[] => serviceByName(service)?.default_ports ?? [];

/** One to three distinct services, no two of which listen on the same port (gap C11). */
export function drawServices(random: Random, pool: readonly string[] = SELECTABLE_SERVICES): readonly string[] {
  const wanted = integerBetween(RANDOM_SERVICE_COUNT.min, RANDOM_SERVICE_COUNT.max, random);
  const drawn: string[] = [];
  let left = [...pool];
  while (drawn.length < wanted && left.length > 0) {
    const service = pick(left, random);
    drawn.push(service);
    const ports = new Set(portsOf(service));
    left = left.filter((other) => other !== service && !portsOf(other).some((port) => ports.has(port)));
  }
  return drawn;
}

/** A source of numbers in [0, 1). */
export type Random = () => number;

/**
 * Random numbers that the text alone decides, so that a retry of one request draws the same hostnames and services.
 * FNV-1a spreads the text over 32 bits, a Weyl sequence with two multiplicative mixes makes the stream. Not for secrets.
 */
export function seededRandom(text: string): Random {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000;
  };
}

/** One of the items; the list must not be empty. */
export function pick<T>(items: readonly T[], random: Random): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('pick: nothing to pick from');
  return item;
}

/** A whole number from `low` to `high`, both included. */
export const integerBetween = (low: number, high: number, random: Random): number =>
  low + Math.floor(random() * (high - low + 1));

/** What a mutation gives a decky: services drawn as the original draws them, or those that the caller names. */

/** How often a draw is repeated in the hope of another set (docs/wire.md#mutate). */
const TRIES = 20;

const poolOf = (slug: string | null): readonly string[] =>
  (slug === null ? undefined : archetypeBySlug(slug)?.services) ?? SELECTABLE_SERVICES;

const sameSet = (one: readonly string[], other: readonly string[]): boolean =>
  new Set(one).size === new Set(other).size && one.every((name) => other.includes(name));

/**
 * One to three services of the decky's archetype, else of all, that differ from what it has where that is possible; never
 * two on one port (gap C11), never a container name that another decky has. Throws NotFound where there is nothing to draw.
 */
export function drawMutation(
  { config }: DesiredDecky,
  others: readonly NamedDecky[],
  random: Random,
): readonly string[] {
  const pool = poolOf(config.archetype).filter((name) => apart(config.name, [name], others));
  let kept: readonly string[] | null = null;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const drawn = drawServices(random, pool);
    if (drawn.length === 0 || !apart(config.name, drawn, others)) continue;
    if (!sameSet(drawn, config.services)) return drawn;
    kept = drawn;
  }
  if (kept) return kept;
  throw new DeckhandError('NotFound', `No services available for decky ${config.name}`);
}

function apart(name: string, services: readonly string[], others: readonly NamedDecky[]): boolean {
  try {
    assertNamesApart([{ name, services }], others);
    return true;
  } catch (error) {
    if (isDeckhandError(error)) return false;
    throw error;
  }
}

/** The services that the caller names, each once. Throws InvalidDecky for an unknown one, and where container names would clash. */
export function namedMutation(
  { config, custom_services }: DesiredDecky,
  services: readonly string[],
  others: readonly NamedDecky[],
): readonly string[] {
  const custom = custom_services.map((service) => service.name);
  const unknown = services.filter((name) => !custom.includes(name) && !serviceByName(name)?.selectable_for_deckies);
  if (unknown.length > 0)
    throw new DeckhandError(
      'InvalidDecky',
      `Unknown service(s) for decky ${config.name}: ${quoteList(unknown)}. Available: ${quoteList([...SELECTABLE_SERVICES, ...custom].sort())}`,
    );
  const wanted = [...new Set(services)];
  assertNamesApart([{ name: config.name, services: wanted }], others);
  return wanted;
}
