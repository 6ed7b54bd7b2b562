import { serviceByName } from './catalog.ts';
import type { DesiredDecky } from './config.ts';

/** What is accepted and probably not meant. Few are told, since a text can earn a hundred thousand of them. Pure. */

export interface Warning {
  readonly text: string;
  /** The decky or group that it is about; null: the request as a whole. */
  readonly owner: string | null;
}

export const MOST_WARNINGS = 50;

export class Warnings {
  readonly told: Warning[] = [];
  private count = 0;

  /** `make` is not asked for a sentence that nobody will read. */
  add(owner: string | null, make: () => string): void {
    this.count += 1;
    if (this.told.length < MOST_WARNINGS) this.told.push({ owner, text: make() });
  }

  addAll(others: Warnings): void {
    for (const warning of others.told) this.add(warning.owner, () => warning.text);
    this.count += others.untold;
  }

  get untold(): number {
    return this.count - this.told.length;
  }

  /** The sentences, the last of which says how many are not among them. */
  get texts(): readonly string[] {
    const texts = this.told.map(({ text }) => text);
    return this.untold > 0 ? [...texts, `There are ${this.untold} more warnings.`] : texts;
  }
}

/** Services of one decky that listen on the same port: accepted as the original does, but only one of them gets it. */

/** Names shown in one warning; a group of a hundred shares one sentence. */
const NAMES_SHOWN = 3;

/** A phrase for each pair of services on one port ("http and https both listen on port 443"). */
function clashesOf({ config, custom_services }: DesiredDecky): readonly string[] {
  const custom = new Map(custom_services.map((service) => [service.name, service.ports]));
  const holders = new Map<number, string>();
  const clashes: string[] = [];
  for (const service of new Set(config.services)) {
    for (const port of new Set(custom.get(service) ?? serviceByName(service)?.default_ports)) {
      const holder = holders.get(port);
      if (holder === undefined) holders.set(port, service);
      else clashes.push(`${holder} and ${service} both listen on port ${port}`);
    }
  }
  return clashes;
}

/** One sentence a clash, with the deckies that have it. */
export function portWarnings(deckies: readonly DesiredDecky[]): readonly string[] {
  const names = new Map<string, string[]>();
  for (const decky of deckies) {
    for (const clash of clashesOf(decky)) {
      const known = names.get(clash);
      if (known) known.push(decky.config.name);
      else names.set(clash, [decky.config.name]);
    }
  }
  return [...names].map(([clash, all]) => {
    const more = all.length > NAMES_SHOWN ? ` and ${all.length - NAMES_SHOWN} more` : '';
    return `${clash}: ${all.slice(0, NAMES_SHOWN).join(', ')}${more}.`;
  });
}
