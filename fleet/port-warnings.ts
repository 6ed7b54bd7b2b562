/** Services of one decky that listen on the same port: accepted as the original does, but only one of them gets it. */
import { serviceByName } from './catalog.ts';
import type { DesiredDecky } from './config.ts';

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
