/**
 * Interfaces and routes of this machine. Addresses are read by `ip`, which shows those of interfaces without a carrier too;
 * where there is no `ip`, Node tells those of the interfaces that are up. Routes are the kernel's main table.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { endianness, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import type { HostAddress, HostRoute } from '../fleet/network.ts';

const ROUTES = '/proc/net/route';
/** RTF_UP and RTF_GATEWAY of linux/route.h. */
const UP = 0x1;
const BY_GATEWAY = 0x2;
const IP_LIMIT_MS = 2_000;

export interface KernelRoute {
  readonly interface: string;
  readonly destination: string;
  readonly mask: string;
  /** Null: none. */
  readonly gateway: string | null;
  readonly metric: number;
}

/** The kernel prints addresses as one number in the machine's byte order. */
function hexAddress(hex: string): string {
  const bytes = [0, 2, 4, 6].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('.');
}

const isHex = (text: string | undefined): text is string => text !== undefined && /^[0-9A-Fa-f]{8}$/.test(text);

/** Routes that are up, of the text of /proc/net/route. */
export function parseRoutes(text: string): KernelRoute[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([name, destination, gateway, flagText, , , metric, mask]): KernelRoute[] => {
      const flags = Number.parseInt(flagText ?? '0', 16);
      if (name === undefined || !isHex(destination) || !isHex(gateway) || !isHex(mask) || !(flags & UP)) return [];
      return [
        {
          interface: name,
          destination: hexAddress(destination),
          mask: hexAddress(mask),
          gateway: flags & BY_GATEWAY ? hexAddress(gateway) : null,
          metric: Number(metric),
        },
      ];
    });
}

export const isDefaultRoute = (route: KernelRoute): boolean =>
  route.destination === '0.0.0.0' && route.mask === '0.0.0.0';

export const readRoutes = async (): Promise<KernelRoute[]> =>
  parseRoutes(await readFile(ROUTES, 'utf8').catch(() => ''));

const toHostRoute = ({ interface: name, destination, mask, gateway }: KernelRoute): HostRoute => ({
  interface: name,
  subnet: `${destination}/${mask}`,
  gateway,
});

interface IpInterface {
  readonly ifname?: unknown;
  readonly addr_info?: readonly { readonly family?: unknown; readonly local?: unknown; readonly prefixlen?: unknown }[];
}

/** Of the text of `ip -j -4 addr show`. Throws where it is none. */
export function parseAddresses(text: string): HostAddress[] {
  return (JSON.parse(text) as IpInterface[]).flatMap(({ ifname, addr_info }) =>
    (addr_info ?? []).flatMap(({ family, local, prefixlen }): HostAddress[] =>
      family === 'inet' && typeof ifname === 'string' && typeof local === 'string' && typeof prefixlen === 'number'
        ? [{ interface: ifname, address: local, subnet: `${local}/${prefixlen}` }]
        : [],
    ),
  );
}

async function readAddresses(): Promise<HostAddress[]> {
  try {
    const { stdout } = await promisify(execFile)('ip', ['-j', '-4', 'addr', 'show'], { timeout: IP_LIMIT_MS });
    return parseAddresses(stdout);
  } catch {
    return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).flatMap(({ family, address, cidr }) =>
        family === 'IPv4' && cidr !== null ? [{ interface: name, address, subnet: cidr }] : [],
      ),
    );
  }
}

export async function readHostNetworks(): Promise<{ addresses: HostAddress[]; routes: HostRoute[] }> {
  const [addresses, routes] = await Promise.all([readAddresses(), readRoutes()]);
  return { addresses, routes: routes.filter((route) => !isDefaultRoute(route)).map(toHostRoute) };
}
