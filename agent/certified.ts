/** What the master gives to a host that joins or renews, checked before anything is kept. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { fingerprintOf } from '../adapters/pki/certificates.ts';

const certified = z.object({
  worker_cert_pem: z.string(),
  ca_cert_pem: z.string(),
  master_fingerprint: z.string().regex(/^[0-9a-f]{64}$/i),
});

export const joined = certified.extend({
  host_uuid: z.string().min(1),
  name: z.string().min(1),
  agent_port: z.number().int().min(0).max(65_535),
});

export type Certified = z.infer<typeof certified>;

/** Throws an Error with a sentence. */
export function readAnswer<T extends z.ZodType>(schema: T, text: string, what: string): z.infer<T> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`The master’s answer to ${what} is no JSON. Is there a Deckhand master at this address?`);
  }
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const wrong = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new Error(`The master’s answer to ${what} is not what it should be (${wrong}).`);
}

export const readCertified = (text: string): Certified => readAnswer(certified, text, 'the renewal');

/** The certificate must be for our key, and of the CA that this host trusts. Throws an Error with a sentence. */
export function checkCertified(answer: Certified, keyPem: string, caFingerprint: string): void {
  if (fingerprintOf(answer.ca_cert_pem) !== caFingerprint.toLowerCase())
    throw new Error('The master’s answer names another CA than the one that this host trusts. Nothing was changed.');
  const certificate = new X509Certificate(answer.worker_cert_pem);
  if (!certificate.verify(new X509Certificate(answer.ca_cert_pem).publicKey))
    throw new Error('The certificate that the master gave is not of its CA. Nothing was changed.');
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem)))
    throw new Error('The certificate that the master gave is not for the key of this host. Nothing was changed.');
}

/** `detail` of an error's body, or the body itself. */
export function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : JSON.stringify(detail ?? text);
  } catch {
    return text.slice(0, 300);
  }
}
