/** Loopback ports: the default, unless it is taken; what was chosen is kept for the next start. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AGENT_PORT, SWARM_PORT } from '../fleet/agent-wire.ts';
import { lock } from '../lib/file-lock.ts';
import { claimFor } from './claims.ts';
import type { StackHome } from './home.ts';

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
export type PortName = keyof typeof DEFAULT_PORTS | AgentName;

/** `agent-1` … */
export type AgentName = `agent-${number}`;
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
   * The port of an agent stands in its master's books: it is the agent's also while that is down. A server's is its stack's as
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
