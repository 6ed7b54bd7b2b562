/** `--add-missing`: which deckies of an INI are not in the fleet yet, and the INI of those alone. Pure. */
import { type ExpandedDecky, type Expansion, expandSections } from '../fleet/deckies.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import { type IniConfig, parseIni } from '../fleet/ini.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import type { FleetDecky } from './master.ts';

export interface Missing {
  /** What to send; null when nothing is missing. */
  readonly ini: string | null;
  /** Names that are there and came up once. */
  readonly unchanged: readonly string[];
  /** Lifecycle ids of deploys that are open for deckies of the INI, as after a master that was stopped in the middle. */
  readonly underway: readonly string[];
  /** Of the INI as it stands; none where it is sent as it is, since the master says them then. */
  readonly warnings: readonly string[];
}

function read(text: string): { readonly ini: IniConfig; readonly expansion: Expansion } | null {
  try {
    const ini = parseIni(text);
    return { ini, expansion: expandSections(ini) };
  } catch (error) {
    if (isDeckhandError(error)) return null;
    throw error;
  }
}

/**
 * A decky that never came up counts as missing: the master replaces it. An INI that can't be read is sent as it is, so that
 * one place, the master, says what is wrong; so is one of which everything is missing.
 */
export function selectMissing(text: string, fleet: readonly FleetDecky[]): Missing {
  const parts = read(text);
  if (parts === null) return { ini: text, unchanged: [], underway: [], warnings: [] };
  const byName = new Map(fleet.map((decky) => [decky.name, decky]));
  const unchanged: string[] = [];
  const underway: string[] = [];
  const missing = parts.expansion.deckies.filter(({ name }) => {
    const decky = byName.get(name);
    if (decky?.open?.operation === OPERATION.deploy) underway.push(decky.open.lifecycle_id);
    else if (decky?.established) unchanged.push(name);
    else return true;
    return false;
  });
  const whole = missing.length === parts.expansion.deckies.length;
  if (whole && missing.length > 0) return { ini: text, unchanged, underway, warnings: [] };
  // What is sent is written again, without the mistakes.
  const warnings = parts.ini.warnings.texts;
  return { ini: missing.length === 0 ? null : writeIni(parts.ini, missing), unchanged, underway, warnings };
}

// Writing chosen deckies as an INI again, one section a decky: the inverse of fleet/ini.ts.

type Value = string | number | null;

/** Interpolation is on when the text is read, so a percent sign is doubled; a further line is indented. */
const valueText = (value: Value): string => String(value).replaceAll('%', '%%').replaceAll('\n', '\n  ');

function section(name: string, values: Readonly<Record<string, Value>>): string {
  const lines = Object.entries(values).flatMap(([key, value]) =>
    value === null ? [] : [`${key} = ${valueText(value)}`],
  );
  return [`[${name}]`, ...lines].join('\n');
}

function deckySections({ name, section: given, service_config }: ExpandedDecky): string[] {
  const own = section(name, {
    ip: given.ip,
    services: given.services?.join(', ') ?? null,
    archetype: given.archetype,
    nmap_os: given.nmap_os,
    mutate_interval: given.mutate_interval,
  });
  const services = Object.entries(service_config).map(([service, values]) =>
    section(
      `${name}.${service}`,
      Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)])),
    ),
  );
  return [own, ...services];
}

export function writeIni(ini: IniConfig, deckies: readonly ExpandedDecky[]): string {
  const { general } = ini;
  const head = section('general', {
    net: general.subnet,
    gw: general.gateway,
    interface: general.interface,
    mutate_interval: general.mutate_interval,
  });
  const custom = ini.custom_services.map((service) =>
    section(`custom-${service.name}`, {
      binary: service.image,
      exec: service.exec_cmd,
      ports: service.ports.join(', '),
    }),
  );
  return `${[head, ...deckies.flatMap(deckySections), ...custom].join('\n\n')}\n`;
}
