/** How certificates are named everywhere: by the SHA-256 of their DER. */
import { createHash, X509Certificate } from 'node:crypto';

/** Lowercase hex SHA-256 of a certificate's DER; text is taken as PEM, bytes as DER. */
export function fingerprintOf(pemOrDer: string | Uint8Array): string {
  const der = typeof pemOrDer === 'string' ? new X509Certificate(pemOrDer).raw : pemOrDer;
  return createHash('sha256').update(der).digest('hex');
}
