/** Subnets of bridge networks, the fleet's and those of agents: the first that neither this host nor another stack uses. */
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { claimFor } from './claims.ts';
import type { StackHome } from './home.ts';

interface Range {
  readonly first: number;
  readonly last: number;
}

const CANDIDATES = Array.from({ length: 20 }, (_, index) => `10.${200 + index}.0.0/24`);

const toNumber = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

export function cidrRange(cidr: string): Range {
  const [address = '', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(toNumber(address) / size) * size;
  return { first, last: first + size - 1 };
}

/**
 * Subnets of /proc/net/route, the default route left out: interfaces that are up without a carrier (the bridge of a stopped
 * fleet) stand there and not among os.networkInterfaces(). Fields 2 and 8 are address and mask, hexadecimal, bytes reversed.
 */
export function routedRanges(table: string): Range[] {
  const reversed = (hex: string): number => Buffer.from(hex, 'hex').readUInt32LE();
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 8 && fields[7] !== '00000000')
    .map((fields) => {
      const first = reversed(fields[1] ?? '00000000');
      return { first, last: first + (0xffffffff - reversed(fields[7] ?? 'FFFFFFFF')) };
    });
}

function usedRanges(): Range[] {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const ofInterfaces = addresses.flatMap(({ family, cidr }) => (family === 'IPv4' && cidr ? [cidrRange(cidr)] : []));
  const table = '/proc/net/route';
  return [...ofInterfaces, ...(existsSync(table) ? routedRanges(readFileSync(table, 'utf8')) : [])];
}

export function firstFree(candidates: readonly string[], used: readonly Range[]): string | null {
  const free = (cidr: string) => {
    const { first, last } = cidrRange(cidr);
    return used.every((range) => range.last < first || range.first > last);
  };
  return candidates.find(free) ?? null;
}

const claim = (cidr: string, home: StackHome): boolean => claimFor(home, 'deckhand-subnets', cidr.replace('/', '_'));

/** Chosen at the first start, remembered afterwards. Null when all twenty are taken: then a fleet has to name its `net`. */
export function bridgePool(home: StackHome): string | null {
  const remembered = home.state.bridgePool;
  if (remembered) return remembered;
  const used = usedRanges();
  const chosen = CANDIDATES.find((cidr) => firstFree([cidr], used) && claim(cidr, home)) ?? null;
  if (chosen) home.remember({ bridgePool: chosen });
  return chosen;
}

/** Where nobody names a base: the Nth agent has 10.201.N.0/24. */
const AGENT_BASE = '10.201.0.0/24';
/** Up to 10.230. */
const AGENT_CANDIDATES = 30;

/** `10.201.0.0/24`, 3 → `10.201.3.0/24`, `10.202.3.0/24` …: every candidate keeps the agent's number in sight. */
export function agentCandidates(base: string, number: number): string[] {
  const [first = 10, second = 201, third = 0] = (base.split('/')[0] ?? '').split('.').map(Number);
  return Array.from(
    { length: AGENT_CANDIDATES },
    (_, step) => `${first}.${second + step}.${third + number}.0/24`,
  ).filter((cidr) => cidr.split(/[./]/).every((part) => Number(part) <= 255));
}

/** Chosen when the agent is first started, remembered afterwards. Throws when all are taken. */
export function agentNet(home: StackHome, number: number, base = AGENT_BASE): string {
  const remembered = home.state.agentNets[String(number)];
  if (remembered) return remembered;
  const used = usedRanges();
  const candidates = agentCandidates(base, number);
  const chosen = candidates.find((cidr) => firstFree([cidr], used) && claim(cidr, home));
  if (!chosen)
    throw new Error(
      `No subnet is free for agent-${number} (tried ${candidates[0] ?? 'none'} and ${candidates.length - 1} others). ` +
        'Name another base by DECKHAND_AGENT_NET, such as 10.80.0.0/24.',
    );
  home.remember({ agentNets: { ...home.state.agentNets, [String(number)]: chosen } });
  return chosen;
}
