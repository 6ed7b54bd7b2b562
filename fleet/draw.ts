/** What is drawn for a decky that the INI leaves open: its hostname and its services. */
import { type Distro, HOSTNAME_WORDS, RANDOM_SERVICE_COUNT, SELECTABLE_SERVICES, serviceByName } from './catalog.ts';
import { integerBetween, pick, type Random } from './random.ts';

/** A hostname in the style of the distro (config.md 3, step 3). */
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
