/** Whose certificate is at the other end of a connection. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { fingerprintOf } from '../adapters/pki/certificates.ts';

export interface Peer {
  /** CN of the subject; null without a certificate. */
  readonly name: string | null;
  /** Lowercase hex SHA-256 of the DER. */
  readonly fingerprint: string | null;
}

/** The chain has been verified by TLS before; this says only whose certificate it is. */
export function peerOf(socket: Socket): Peer {
  const certificate = socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate() : null;
  if (!certificate?.raw) return { name: null, fingerprint: null };
  const { CN } = certificate.subject;
  return { name: typeof CN === 'string' ? CN : null, fingerprint: fingerprintOf(certificate.raw) };
}
