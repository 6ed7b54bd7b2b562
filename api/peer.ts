/**
 * Who is at the other end of a connection: its certificate of our CA, if it showed one, and whether
 * it is this machine.
 */
import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Context } from 'hono';
import type { ApiEnv } from './environment.ts';

export interface Peer {
  /** Lowercase hex SHA-256 of the DER. */
  readonly fingerprint: string;
  readonly commonName: string;
  /** IPs and DNS names that the certificate carries. */
  readonly sans: readonly string[];
}

/**
 * A connection shows one certificate for as long as it lives; what it may do is looked up for each
 * request.
 */
const known = new WeakMap<TLSSocket, Peer | null>();

const isTls = (socket: unknown): socket is TLSSocket =>
  typeof socket === 'object' && socket !== null && 'getPeerX509Certificate' in socket;

export function peerOf(c: Context<ApiEnv>): Peer | null {
  const socket = c.env?.incoming?.socket;
  if (!isTls(socket)) return null;
  const before = known.get(socket);
  if (before !== undefined) return before;
  const peer = readPeer(socket);
  known.set(socket, peer);
  return peer;
}

function readPeer(socket: TLSSocket): Peer | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || !socket.authorized) return null;
  return {
    fingerprint: createHash('sha256').update(certificate.raw).digest('hex'),
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
    sans: (certificate.subjectAltName ?? '').split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, '')),
  };
}

/** The peer's address without the prefix of mapped IPv4; null for requests made in-process. */
export function addressOf(c: Context<ApiEnv>): string | null {
  const address = c.env?.incoming?.socket.remoteAddress;
  return address === undefined ? null : address.replace(/^::ffff:/, '');
}

export function isLoopback(address: string | null): boolean {
  if (address === null) return false;
  return address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}

/** Whether the connection to this listener is TLS: what a header says of it does not count. */
export function overTls(c: Context<ApiEnv>): boolean {
  const socket: object | undefined = c.env?.incoming?.socket;
  return socket !== undefined && Reflect.get(socket, 'encrypted') === true;
}
