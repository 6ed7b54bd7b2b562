/** What is read of a certificate: its fingerprint, by which it is named everywhere, its CN and its end. */
import { createHash, X509Certificate } from 'node:crypto';

/** Lowercase hex SHA-256 of a certificate's DER; text is taken as PEM, bytes as DER. */
export function fingerprintOf(pemOrDer: string | Uint8Array): string {
  const der = typeof pemOrDer === 'string' ? new X509Certificate(pemOrDer).raw : pemOrDer;
  return createHash('sha256').update(der).digest('hex');
}

/** The CN of a certificate's subject, and when it ends: what TLS callers want to know of a peer. */
export function describeCertificate(pemOrDer: string | Uint8Array): { commonName: string; notAfter: Date } {
  const certificate = new X509Certificate(pemOrDer);
  const commonName = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  return { commonName, notAfter: new Date(certificate.validTo) };
}
