/** From the sections of an INI to one entry a decky: amounts, names, and the service configuration that reaches each. */
import { archetypeBySlug } from './catalog.ts';
import type { ServiceConfig } from './config.ts';
import { DeckhandError } from './errors.ts';
import type { DeckySection, IniConfig, ServiceSection } from './ini.ts';
import { assertDeckyName } from './names.ts';
import { nearWord } from './near-word.ts';
import { shorten } from './quote.ts';
import { Warnings } from './warnings.ts';

/** Among how many names one is looked for that was perhaps meant. */
const MOST_OWNERS = 200;

export interface ExpandedDecky {
  readonly name: string;
  readonly section: DeckySection;
  readonly service_config: ServiceConfig;
}

export interface Expansion {
  /** In INI order. */
  readonly deckies: readonly ExpandedDecky[];
  readonly warnings: Warnings;
}

/** How many deckies an INI asks for; known before any of them is made. */
export const requestedCount = (ini: IniConfig): number =>
  ini.deckies.reduce((total, section) => total + section.amount, 0);

const namesOf = (section: DeckySection): readonly string[] =>
  section.amount === 1
    ? [section.name]
    : Array.from({ length: section.amount }, (_, index) => `${section.name}-${String(index + 1).padStart(2, '0')}`);

const describe = (section: DeckySection): string =>
  section.amount === 1 ? `[${section.name}]` : `[${section.name}] amount=${section.amount}`;

/** Throws InvalidDecky when two sections make one name (gap A11). */
function nameDeckies(sections: readonly DeckySection[]): ReadonlyMap<string, DeckySection> {
  const named = new Map<string, DeckySection>();
  for (const section of sections) {
    for (const name of namesOf(section)) {
      assertDeckyName(name);
      const first = named.get(name);
      if (first)
        throw new DeckhandError(
          'InvalidDecky',
          `The decky name '${name}' is made twice, by ${describe(first)} and by ${describe(section)}. Rename one of them.`,
        );
      named.set(name, section);
    }
  }
  return named;
}

function merge(sections: readonly ServiceSection[]): Map<string, ServiceConfig> {
  const byOwner = new Map<string, Record<string, Record<string, string>>>();
  for (const { owner, service, values } of sections)
    byOwner.set(owner, { ...byOwner.get(owner), [service]: { ...byOwner.get(owner)?.[service], ...values } });
  return byOwner;
}

/** The decky's own sub-section wins over its group's, key by key. */
function combine(group: ServiceConfig | undefined, own: ServiceConfig | undefined): ServiceConfig {
  const combined: Record<string, Readonly<Record<string, unknown>>> = { ...group };
  for (const [service, values] of Object.entries(own ?? {})) combined[service] = { ...combined[service], ...values };
  return combined;
}

/** The services that a section's deckies will have; null where they are drawn, or kept from before. */
const settledServices = ({ services, archetype }: DeckySection): readonly string[] | null =>
  services ?? (archetype === null ? null : (archetypeBySlug(archetype)?.services ?? null));

/**
 * Names each decky once (`web` with amount 3 → `web-01` … `web-03`). A sub-section `[P.svc]` reaches the decky P, or the
 * deckies of the group P and no others; one that reaches nobody is ignored with a warning.
 */
export function expandSections(ini: IniConfig): Expansion {
  const named = nameDeckies(ini.deckies);
  const configs = merge(ini.service_sections);
  const groups = new Set(ini.deckies.filter((section) => section.amount > 1).map((section) => section.name));
  const deckies = [...named].map(([name, section]) => ({
    name,
    section,
    service_config: combine(section.amount > 1 ? configs.get(section.name) : undefined, configs.get(name)),
  }));
  const warnings = new Warnings();
  const sections = new Map(ini.deckies.map((section) => [section.name, section]));
  for (const { owner, service, line } of ini.service_sections) {
    const section = named.get(owner) ?? sections.get(owner);
    if (section === undefined)
      warnings.add(null, () => {
        const near = nearWord(owner, [...groups, ...named.keys()].slice(0, MOST_OWNERS));
        const meant = near === null ? '' : ` Did you mean [${near}.${service}]?`;
        return `[${shorten(owner)}.${service}] (line ${line}) configures no decky of this INI and was ignored.${meant}`;
      });
    else if (settledServices(section)?.includes(service) === false)
      warnings.add(
        section.name,
        () =>
          `[${shorten(owner)}.${service}] (line ${line}) configures a service that [${section.name}] does not have. It takes effect only if a mutation brings ${service}.`,
      );
  }
  return { deckies, warnings };
}
