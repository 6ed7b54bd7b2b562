/**
 * A TLS connection to an agent on which the chain, the name and the pinned fingerprint have been
 * checked: whoever gets the socket may write to it. There is no second connection to look at, as
 * DECNET has, and so no gap between look and use.
 */

import { Agent } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { DeckhandError } from '../../fleet/errors.ts';
import { fingerprintOf } from '../pki/certificates.ts';
import type { Identity } from '../pki/own-identity.ts';

/** From the look-up of the name to the end of the handshake (docs/wire.md#the-agent). */
export const CONNECT_LIMIT_MS = 5_000;

interface ConnectOptions {
  readonly context: SecureContext;
  readonly verifyHostname: boolean;
}

/**
 * No session is ever resumed: each connection shows its certificate anew.
 * Rejects with HostUnreachable, or HostMismatch; nothing was sent then but the handshake.
 */
function connectToAgent(host: AgentAddress, { context, verifyHostname }: ConnectOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: host.address,
      port: host.port,
      ...(isIP(host.address) ? {} : { servername: host.address }),
      secureContext: context,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      // The name is checked below, with the fingerprint, so that all is judged in one place.
      checkServerIdentity: () => undefined,
    });
    const giveUp = (error: DeckhandError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => giveUp(unreachable(host, `nothing within ${CONNECT_LIMIT_MS / 1000} s`)),
      CONNECT_LIMIT_MS,
    );
    const failed = (error: Error): void =>
      giveUp(socket.authorizationError ? untrusted(host, error) : unreachable(host, error.message, error));
    const closed = (): void => giveUp(unreachable(host, 'the connection was closed during the handshake'));
    socket.once('error', failed);
    socket.once('close', closed);
    socket.once('secureConnect', () => {
      const wrong = judgePeer(socket, host, verifyHostname);
      if (wrong) return giveUp(wrong);
      clearTimeout(timer);
      socket.off('error', failed);
      socket.off('close', closed);
      socket.setNoDelay(true);
      resolve(socket);
    });
    // A destroyed socket may still report an error; nobody is left who wants to know.
    socket.on('error', () => {});
  });
}

function judgePeer(socket: TLSSocket, host: AgentAddress, verifyHostname: boolean): DeckhandError | null {
  const certificate = socket.getPeerCertificate();
  if (!socket.authorized || !certificate.raw)
    return untrusted(host, socket.authorizationError ?? new Error('it shows no certificate'));
  const fingerprint = fingerprintOf(certificate.raw);
  if (!host.fingerprints.some((pin) => pin.toLowerCase() === fingerprint))
    return mismatch(
      host,
      `its certificate has SHA-256 ${fingerprint}, enrolled was ${host.fingerprints.join(' or ') || 'none'}`,
    );
  const wrongName = verifyHostname ? checkServerIdentity(host.address, certificate) : undefined;
  return wrongName
    ? mismatch(
        host,
        `its certificate does not name ${host.address} (it names ${certificate.subjectaltname ?? 'nothing'})`,
      )
    : null;
}

const unreachable = (host: AgentAddress, why: string, cause?: Error): DeckhandError =>
  new DeckhandError('HostUnreachable', `The agent of ${placeOf(host)} can’t be reached: ${why}.`, { cause });

const untrusted = (host: AgentAddress, why: Error): DeckhandError =>
  mismatch(host, `its certificate can’t be trusted: ${why.message ?? why}`);

const mismatch = (host: AgentAddress, why: string): DeckhandError =>
  new DeckhandError(
    'HostMismatch',
    `What answers for ${placeOf(host)} is not the host that was enrolled: ${why}. Nothing was sent to it. ` +
      'Renew the host’s certificate or enrol it again.',
  );

/**
 * Kept connections, one pool per host; a pool goes when the host's pins or address, or the master's
 * identity, change.
 */

/**
 * Shorter than the 5 s after which uvicorn and Node close idle connections, so that we are the ones
 * who do.
 */
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

interface Pools {
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
      // Exchanges under way end on their connection; only what is idle goes, and nothing new starts
      // there.
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

/** Where an agent is, and how it is known. */
export interface AgentAddress {
  readonly hostUuid: string;
  readonly name: string;
  /** IP or DNS name. */
  readonly address: string;
  readonly port: number;
  /**
   * Accepted SHA-256s of its certificate, lowercase hex: the current one, and the one being
   * renewed.
   */
  readonly fingerprints: readonly string[];
}

/** `host h1 (192.0.2.7:8765)`, for sentences. */
export const placeOf = (host: AgentAddress): string => {
  const address = host.address.includes(':') ? `[${host.address}]` : host.address;
  return `host ${host.name} (${address}:${host.port})`;
};
