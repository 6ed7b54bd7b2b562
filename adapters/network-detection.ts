/**
 * What the master's machine has of networks: interfaces, and the default route with the address on its interface, which
 * are what `ip route show default` and `ip addr show` print. Read from the kernel, so that no `ip` program is needed.
 */
import { readdir, readFile } from 'node:fs/promises';
import { endianness, type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { NetworkDriver } from '../fleet/config.ts';
import type { NetworkContext } from '../fleet/network.ts';

const INTERFACES = '/sys/class/net';
const ROUTES = '/proc/net/route';
/** RTF_UP and RTF_GATEWAY of linux/route.h. */
const UP_BY_GATEWAY = 0x3;

export interface DefaultRoute {
  readonly interface: string;
  readonly gateway: string;
}

type Addresses = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** The kernel prints addresses as one number in the machine's byte order. */
function hexAddress(hex: string): string {
  const bytes = [0, 2, 4, 6].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('.');
}

/** The default route of lowest metric in the text of /proc/net/route; null where there is none. */
export function parseDefaultRoute(text: string): DefaultRoute | null {
  const routes = text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, destination, , flags, , , , mask]) =>
        destination === '00000000' &&
        mask === '00000000' &&
        (Number.parseInt(flags ?? '0', 16) & UP_BY_GATEWAY) === UP_BY_GATEWAY,
    )
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  const [name, , gateway] = routes[0] ?? [];
  return name === undefined || gateway === undefined ? null : { interface: name, gateway: hexAddress(gateway) };
}

const firstIPv4 = (addresses: Addresses, name: string): NetworkInterfaceInfo | null =>
  addresses[name]?.find((address) => address.family === 'IPv4') ?? null;

async function interfaceNames(addresses: Addresses): Promise<string[]> {
  try {
    const entries = await readdir(INTERFACES, { withFileTypes: true });
    return entries.filter((entry) => !entry.isFile()).map((entry) => entry.name);
  } catch {
    return Object.keys(addresses);
  }
}

const readRoutes = (): Promise<string> => readFile(ROUTES, 'utf8').catch(() => '');

/** Looks anew at each call; what can't be told is null, and planning says so where it matters. */
export async function detectNetwork(driver: NetworkDriver, bridgePool: string | null): Promise<NetworkContext> {
  const addresses = networkInterfaces();
  const route = parseDefaultRoute(await readRoutes());
  const address = route === null ? null : firstIPv4(addresses, route.interface);
  const subnet = address?.cidr ?? null;
  return {
    driver,
    host_ip: address?.address ?? null,
    interfaces: await interfaceNames(addresses),
    // The subnet keeps its host bits here; planning clears them.
    detected: route === null || subnet === null ? null : { ...route, subnet },
    bridge_pool: bridgePool,
  };
}
