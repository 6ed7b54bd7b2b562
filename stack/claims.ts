/**
 * What two stacks of one machine must not choose at the same time.
 *
 * 1. Claims. Nothing shows yet that a thing is taken: a subnet before its network is made, a port of an agent that happens
 *    to be down, or of a server that is being started again. A claim is a file that all stacks see. One whose home is gone
 *    does not count.
 * 2. loopback ports
 * 3. subnets of bridge networks
 */
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { AGENT_PORT, SWARM_PORT } from '../fleet/agent-wire.ts';
import { lock } from '../lib/file-lock.ts';
import { readInstance, type StackHome } from './home.ts';

const claimSchema = z.object({ home: z.string(), instance: z.string(), pid: z.number().int().optional() });
type Claim = z.infer<typeof claimSchema>;

/**
 * True when it is ours now, or was before. `kind` is a directory of its own among the machine's temporary files. With
 * `whileRunning` the claim ends with this process, else with the home.
 */
function claimFor(home: StackHome, kind: string, name: string, { whileRunning = false } = {}): boolean {
  const directory = join(tmpdir(), kind);
  mkdirSync(directory, { recursive: true, mode: 0o1777 });
  const file = join(directory, name);
  const claim: Claim = {
    home: home.directory,
    instance: home.instance,
    ...(whileRunning ? { pid: process.pid } : {}),
  };
  for (let round = 0; round < 3; round++) {
    try {
      writeFileSync(file, JSON.stringify(claim), { flag: 'wx', mode: 0o644 });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
    }
    const holder = readClaim(file);
    if (holder?.instance === home.instance && holder.pid === claim.pid) return true;
    if (holder && holder.instance !== home.instance && counts(holder)) return false;
    rmSync(file, { force: true });
  }
  return false;
}

/** A directory that was made again is another home. A process that is gone holds nothing. */
const counts = ({ home, instance, pid }: Claim): boolean =>
  readInstance(join(home, 'instance')) === instance && (pid === undefined || isAlive(pid));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readClaim(file: string): Claim | null {
  if (!existsSync(file)) return null;
  try {
    return claimSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}

// 2. Loopback ports: the default unless it is taken. What was chosen is kept for the next start.

export const LOOPBACK = '127.0.0.1';

/** The ports of docs/operations.md#ports; PostgreSQL's own default for the embedded one. */
export const DEFAULT_PORTS = Object.freeze({
  api: 8000,
  temporal: 7233,
  temporalUi: 8233,
  nats: 4222,
  postgres: 5432,
  swarm: SWARM_PORT,
});
type PortName = keyof typeof DEFAULT_PORTS | AgentName;

/** `agent-1` … */
type AgentName = `agent-${number}`;
export const agentName = (number: number): AgentName => `agent-${number}`;

const isServer = (name: PortName): name is keyof typeof DEFAULT_PORTS => name in DEFAULT_PORTS;

/** How far above the agents' default port one is looked for, before any free port will do. */
const AGENT_PORTS = 200;

/**
 * Where a free port is looked for: below those that systems give to connections that go out (Linux from 32768, macOS from 49152). One
 * of these could be taken between the moment at which it is found free and the one at which its server listens.
 */
export const FREE_PORTS = Object.freeze({ from: 20_000, to: 30_000 });

/** Agents share a range: the first that is free, from the default port up. */
const defaultPorts = (name: PortName): readonly number[] =>
  isServer(name) ? [DEFAULT_PORTS[name]] : Array.from({ length: AGENT_PORTS }, (_, step) => AGENT_PORT + step);

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export class PortBook {
  readonly #home: StackHome;
  readonly #preferDefaults: boolean;
  readonly #given = new Set<number>();

  /** `preferDefaults: false` (tests) takes free ports from the beginning. */
  constructor(home: StackHome, preferDefaults: boolean) {
    this.#home = home;
    this.#preferDefaults = preferDefaults;
  }

  /** The port of the last start, else the default (agents: the next after it), else a free one. `inUseByUs`: our own process listens there already. */
  async choose(name: PortName, inUseByUs: boolean): Promise<number> {
    const remembered = this.#home.state.ports[name];
    if (remembered !== undefined && inUseByUs) {
      this.#mayHave(name, remembered);
      return this.#take(name, remembered);
    }
    const reserved: readonly number[] = Object.values(DEFAULT_PORTS);
    const wanted = [
      ...(remembered === undefined ? [] : [remembered]),
      ...(this.#preferDefaults ? defaultPorts(name).filter((port) => isServer(name) || !reserved.includes(port)) : []),
    ];
    for (const port of wanted)
      if (!this.#given.has(port) && (await isPortFree(port)) && this.#mayHave(name, port))
        return this.#take(name, port);
    for (let tries = 0; tries < 100; tries++) {
      const port = randomInt(FREE_PORTS.from, FREE_PORTS.to);
      if (this.#given.has(port)) continue;
      // Before it is looked at: another server may ask meanwhile.
      this.#given.add(port);
      if ((await isPortFree(port)) && this.#mayHave(name, port)) return this.#take(name, port);
    }
    throw new Error(`No free port on ${LOOPBACK} for ${name}.`);
  }

  /**
   * The port of an agent stands in its master's database: it stays the agent's while that is down. A server's is its stack's as
   * long as that runs: while the server is started again after a crash, nobody listens there.
   */
  #mayHave(name: PortName, port: number): boolean {
    return isServer(name)
      ? claimFor(this.#home, 'deckhand-ports', String(port), { whileRunning: true })
      : claimFor(this.#home, 'deckhand-agent-ports', String(port));
  }

  #take(name: PortName, port: number): number {
    this.#given.add(port);
    if (this.#home.state.ports[name] !== port)
      this.#home.remember({ ports: { ...this.#home.state.ports, [name]: port } });
    return port;
  }
}

/**
 * Between the moment at which a port is found free and the one at which its server listens, another stack that starts could take
 * it, and be mistaken for ours. So stacks of one user come up one after the other.
 */
export async function withPortsReserved<T>(say: (line: string) => void, work: () => Promise<T>): Promise<T> {
  const path = join(tmpdir(), `deckhand-ports-${process.getuid?.() ?? 0}.lock`);
  const release = await lock(path, (holder) => say(`waiting for another stack to come up (pid ${holder.pid})`));
  try {
    return await work();
  } finally {
    release();
  }
}

// 3. Subnets of bridge networks, the fleet's and those of agents: the first that neither this host nor another stack uses

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

/** `10.201.0.0/24`, 3 → `10.201.3.0/24`, `10.202.3.0/24` …: every candidate keeps the agent's number. */
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
