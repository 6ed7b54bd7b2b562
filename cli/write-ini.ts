/** Writes chosen deckies of a parsed INI as an INI again, one section a decky. Pure; the inverse of fleet/ini.ts. */
import type { ExpandedDecky } from '../fleet/deckies.ts';
import type { IniConfig } from '../fleet/ini.ts';

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
