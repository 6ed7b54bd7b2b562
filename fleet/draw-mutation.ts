/** What a mutation gives a decky: services drawn as the original draws them, or those that the caller names. */
import { archetypeBySlug, SELECTABLE_SERVICES, serviceByName } from './catalog.ts';
import type { DesiredDecky } from './config.ts';
import { drawServices } from './draw.ts';
import { DeckhandError, isDeckhandError } from './errors.ts';
import { assertNamesApart, type NamedDecky } from './names.ts';
import { quoteList } from './quote.ts';
import type { Random } from './random.ts';

/** How often a draw is repeated in the hope of another set (wire.md 1.4). */
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
