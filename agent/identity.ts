/**
 * Who this agent is, and whom it trusts: DECNET's three files (docs/wire.md#certificate-files) and our `agent.json` beside
 * them. At the end: whose certificate is at the other end of a connection.
 */
import { X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { fingerprintOf } from '../adapters/pki/certificates.ts';
import { makeDirectory, readIfThere, replaceFile } from '../lib/files.ts';

const facts = z.object({
  host_uuid: z.string().min(1),
  name: z.string().min(1),
  /** Of the swarm controller: `https://host:8770`. */
  master_url: z.url({ protocol: /^https$/ }),
  /** SHA-256 of the master's client certificate: orders are taken from it alone. */
  master_fingerprint: z.string().regex(/^[0-9a-f]{64}$/i),
  ca_fingerprint: z.string().regex(/^[0-9a-f]{64}$/i),
  agent_port: z.number().int().min(0).max(65_535),
});

export type AgentFacts = z.infer<typeof facts>;

export interface AgentIdentity {
  readonly facts: AgentFacts;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** The agent can't start as it is; a program prints it and exits with 2. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
}

const FILES = { ca: 'ca.crt', cert: 'worker.crt', key: 'worker.key', facts: 'agent.json' } as const;
/** A renewal that was under way when the agent was killed: all of it stands here until the files have been replaced. */
const RENEWED = 'renewed.json';

const HOW_TO_JOIN =
  'Join the swarm first: run the command that `deckhand host enroll NAME ADDRESS` prints on the master (deckhand agent join …).';

/** Throws IdentityError. */
export async function loadIdentity(directory: string): Promise<AgentIdentity> {
  await finishRenewal(directory);
  const names = Object.values(FILES);
  const texts = await Promise.all(names.map((name) => readIfThere(join(directory, name))));
  const missing = names.filter((_, at) => texts[at] === null);
  if (missing.length > 0)
    throw new IdentityError(
      `${directory} lacks ${missing.join(', ')}, so that this host has no identity. ${HOW_TO_JOIN}`,
    );
  const [caPem = '', certPem = '', keyPem = '', factsText = ''] = texts.map((text) => text ?? '');
  const identity = { caPem, certPem, keyPem, facts: readFacts(join(directory, FILES.facts), factsText) };
  checkCertificate(directory, identity);
  return identity;
}

function readFacts(path: string, text: string): AgentFacts {
  const result = facts.safeParse(parsed(text));
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`);
  throw new IdentityError(`${path} is not right (${lines.join('; ')}). ${HOW_TO_JOIN}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function checkCertificate(directory: string, { certPem, caPem }: AgentIdentity): void {
  try {
    if (new X509Certificate(certPem).verify(new X509Certificate(caPem).publicKey)) return;
  } catch {
    throw new IdentityError(`${directory} holds a certificate that can’t be read. ${HOW_TO_JOIN}`);
  }
  throw new IdentityError(`${directory}: ${FILES.cert} is not of the CA in ${FILES.ca}. ${HOW_TO_JOIN}`);
}

/** Writes all files, each at once and 0600. The facts come last: what has them is whole. */
export async function writeIdentity(directory: string, identity: AgentIdentity): Promise<void> {
  await makeDirectory(directory);
  await replaceFile(join(directory, FILES.ca), identity.caPem);
  await replaceFile(join(directory, FILES.key), identity.keyPem);
  await replaceFile(join(directory, FILES.cert), identity.certPem);
  await replaceFile(join(directory, FILES.facts), `${JSON.stringify(identity.facts, null, 2)}\n`);
}

/** Replaces the identity as one step: whatever kills the agent, it starts with the old one or the new one, never a mixture. */
export async function replaceIdentity(directory: string, identity: AgentIdentity): Promise<void> {
  await makeDirectory(directory);
  await replaceFile(join(directory, RENEWED), JSON.stringify(identity));
  await finishRenewal(directory);
}

async function finishRenewal(directory: string): Promise<void> {
  const text = await readIfThere(join(directory, RENEWED));
  if (text === null) return;
  await writeIdentity(directory, JSON.parse(text) as AgentIdentity);
  // Should the removal be lost with the power, the same files are written once more.
  await rm(join(directory, RENEWED), { force: true });
}

interface Peer {
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
