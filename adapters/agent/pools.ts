/** Kept connections, one pool per host; a pool goes when the host's pins or address, or the master's identity, change. */

import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Identity } from '../pki/own-identity.ts';
import type { AgentAddress } from './address.ts';
import { type ConnectOptions, connectToAgent } from './connect.ts';

/** Shorter than the 5 s after which uvicorn and Node close idle connections, so that we are the ones who do. */
const IDLE_LIMIT_MS = 4_000;

/** Hands out connections only once they have been checked; HTTP waits for that. */
class CheckedAgent extends Agent {
  readonly #host: AgentAddress;
  readonly #options: ConnectOptions;

  constructor(host: AgentAddress, options: ConnectOptions) {
    super({ keepAlive: true, timeout: IDLE_LIMIT_MS, maxFreeSockets: 4, maxCachedSessions: 0 });
    this.#host = host;
    this.#options = options;
  }

  override createConnection(_: unknown, done?: (error: Error | null, socket: Duplex) => void): undefined {
    connectToAgent(this.#host, this.#options).then(
      (socket) => done?.(null, socket),
      // Node ignores the second argument where there is an error.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    );
  }
}

export interface Pools {
  of(host: AgentAddress, identity: Identity): Agent;
  close(): void;
}

export function createPools(verifyHostname: boolean): Pools {
  const pools = new Map<string, { key: string; agent: Agent }>();
  let trust: { fingerprint: string; context: SecureContext } | null = null;
  const contextOf = (identity: Identity): SecureContext => {
    if (trust?.fingerprint !== identity.fingerprint) {
      const { certPem: cert, keyPem: key, caPem: ca } = identity;
      trust = {
        fingerprint: identity.fingerprint,
        context: createSecureContext({ cert, key, ca, minVersion: 'TLSv1.2' }),
      };
    }
    return trust.context;
  };
  return {
    of(host, identity) {
      const key = [host.address, host.port, identity.fingerprint, ...[...host.fingerprints].sort()].join(' ');
      const known = pools.get(host.hostUuid);
      if (known?.key === key) return known.agent;
      // Exchanges under way end on their connection; only what is idle goes, and nothing new starts there.
      if (known) retire(known.agent);
      const agent = new CheckedAgent(host, { context: contextOf(identity), verifyHostname });
      pools.set(host.hostUuid, { key, agent });
      return agent;
    },
    close() {
      for (const { agent } of pools.values()) agent.destroy();
      pools.clear();
    },
  };
}

function retire(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
