/**
 * How a host gets its certificate from the master.
 *
 * 1. The master's answer, checked before anything is kept.
 * 2. Joining: this host makes its key, which never leaves it, and gets a certificate for a one-shot token
 *    (docs/agent.md#joining).
 * 3. Renewal: a new key and certificate before the old one ends, or when the master asks for it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { z } from 'zod';
import { createSigningRequest, fingerprintOf } from '../adapters/pki/certificates.ts';
import { isRenewalDue } from '../adapters/pki/own-identity.ts';
import type { Logger } from '../lib/logger.ts';
import { type AgentFacts, type AgentIdentity, replaceIdentity } from './identity.ts';
import { createMasterClient, type MasterAnswer, type MasterClient } from './master-client.ts';

const certified = z.object({
  worker_cert_pem: z.string(),
  ca_cert_pem: z.string(),
  master_fingerprint: z.string().regex(/^[0-9a-f]{64}$/i),
});

const joined = certified.extend({
  host_uuid: z.string().min(1),
  name: z.string().min(1),
  agent_port: z.number().int().min(0).max(65_535),
});

type Certified = z.infer<typeof certified>;

/** Throws an Error with a sentence. */
function readAnswer<T extends z.ZodType>(schema: T, text: string, what: string): z.infer<T> {
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

const readCertified = (text: string): Certified => readAnswer(certified, text, 'the renewal');

/** The certificate must be for our key, and of the CA that this host trusts. Throws an Error with a sentence. */
function checkCertified(answer: Certified, keyPem: string, caFingerprint: string): void {
  if (fingerprintOf(answer.ca_cert_pem) !== caFingerprint.toLowerCase())
    throw new Error('The master’s answer names another CA than the one that this host trusts. Nothing was changed.');
  const certificate = new X509Certificate(answer.worker_cert_pem);
  if (!certificate.verify(new X509Certificate(answer.ca_cert_pem).publicKey))
    throw new Error('The certificate that the master gave is not of its CA. Nothing was changed.');
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem)))
    throw new Error('The certificate that the master gave is not for the key of this host. Nothing was changed.');
}

/** `detail` of an error's body, or the body itself. */
function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : JSON.stringify(detail ?? text);
  } catch {
    return text.slice(0, 300);
  }
}

// 2. Joining

interface JoinOptions {
  /** Of the swarm controller: `https://host:8770`. */
  readonly url: string;
  readonly token: string;
  /** SHA-256 of the CA, hex, colons allowed. */
  readonly caFingerprint: string;
  readonly directory: string;
  /** Absent: the port that was enrolled. */
  readonly port?: number;
}

const LIMIT_MS = 10_000;
const LONGEST_CA = 64 * 1024;

/** Writes the identity and returns what it says. Throws an Error with a sentence. */
export async function join(options: JoinOptions): Promise<AgentFacts> {
  const url = originOf(options.url);
  const fingerprint = options.caFingerprint.replaceAll(':', '').trim().toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(fingerprint))
    throw new Error(
      '--ca-fingerprint is no SHA-256: it has 64 hexadecimal digits. Copy it from the command that the master printed.',
    );
  const caPem = await fetchAuthority(url);
  checkAuthority(caPem, fingerprint, url);
  // The master gives the certificate the name that it enrolled, whatever is asked for here.
  const { keyPem, csrPem } = await createSigningRequest('agent');
  const client = createMasterClient({ url, caPem });
  try {
    const answer = await client.post('/swarm/join', { token: options.token, csr_pem: csrPem });
    if (answer.status !== 200 && answer.status !== 201) throw refused(answer);
    const given = readAnswer(joined, answer.text, 'the enrolment');
    checkCertified(given, keyPem, fingerprint);
    const facts: AgentFacts = {
      host_uuid: given.host_uuid,
      name: given.name,
      master_url: url,
      master_fingerprint: given.master_fingerprint.toLowerCase(),
      ca_fingerprint: fingerprint,
      agent_port: options.port ?? given.agent_port,
    };
    await replaceIdentity(options.directory, {
      facts,
      caPem: given.ca_cert_pem,
      certPem: given.worker_cert_pem,
      keyPem,
    });
    return facts;
  } finally {
    client.close();
  }
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'https:')
    throw new Error(`'${text}' is no address of a swarm controller. Write it as https://MASTER:8770.`);
  return url.origin;
}

function refused({ status, text }: MasterAnswer): Error {
  const advice = status === 403 || status === 404 ? ' Ask for a new token: deckhand host enroll NAME ADDRESS.' : '';
  return new Error(`The master does not enrol this host (${status}): ${detailOf(text)}${advice}`);
}

/** Nothing vouches for the server yet: the caller takes the answer only if it has the fingerprint that was given. */
function fetchAuthority(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => {
      sent.destroy();
      reject(
        new Error(
          `The master at ${url} can’t be reached: ${why}. Check the address, and that its port is open to this host.`,
        ),
      );
    };
    const sent = request(new URL('/swarm/ca', url), { rejectUnauthorized: false, timeout: LIMIT_MS, agent: false });
    sent.once('error', (error) => failed(error.message));
    sent.once('timeout', () => failed(`no answer within ${LIMIT_MS / 1_000} s`));
    sent.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > LONGEST_CA) failed('its answer is too large for a certificate');
      });
      response.once('error', (error) => failed(error.message));
      response.once('end', () => {
        if (response.statusCode === 200) resolve(text);
        else failed(`it answers ${response.statusCode} to GET /swarm/ca, so it is no Deckhand master`);
      });
    });
    sent.end();
  });
}

function checkAuthority(caPem: string, fingerprint: string, url: string): void {
  let found: string;
  try {
    found = fingerprintOf(caPem);
  } catch {
    throw new Error(`What ${url} gives as its CA is no certificate.`);
  }
  if (found === fingerprint) return;
  throw new Error(
    `The CA of ${url} has SHA-256 ${found}, and --ca-fingerprint is ${fingerprint}: this is not the master that made the command, or somebody is in between. Nothing was sent but a request for the certificate.`,
  );
}

// 3. Renewal

/** Between two tries, whoever asks. */
const PAUSE_MS = 60_000;
const CHECK_MS = 60 * 60 * 1_000;

interface RenewalOptions {
  readonly directory: string;
  readonly identity: () => AgentIdentity;
  readonly client: () => MasterClient;
  /** The new identity is on disk: from now on it is used. */
  readonly adopt: (identity: AgentIdentity) => void;
  readonly logger: Logger;
}

export class Renewal {
  readonly #options: RenewalOptions;
  #running: Promise<void> | null = null;
  #triedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /** Checks now and every hour whether it is due. */
  start(): void {
    const check = (): void => {
      const certificate = new X509Certificate(this.#options.identity().certPem);
      const validity = { notBefore: new Date(certificate.validFrom), notAfter: new Date(certificate.validTo) };
      if (isRenewalDue(validity, new Date())) this.request();
    };
    check();
    this.#timer = setInterval(check, CHECK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Renews soon; one renewal at a time, and none within a minute of the last try. */
  readonly request = (): void => {
    if (this.#running || performance.now() - this.#triedAt < PAUSE_MS) return;
    this.#triedAt = performance.now();
    this.#running = this.#renew()
      .catch((error: unknown) => this.#options.logger.error({ err: error }, 'the certificate was not renewed'))
      .finally(() => {
        this.#running = null;
      });
  };

  async #renew(): Promise<void> {
    const { directory, identity, client, adopt, logger } = this.#options;
    const old = identity();
    const { keyPem, csrPem } = await createSigningRequest(old.facts.name);
    const answer = await client().post('/swarm/renew', { csr_pem: csrPem });
    if (answer.status !== 200 && answer.status !== 201)
      throw new Error(`The master does not renew the certificate (${answer.status}): ${detailOf(answer.text)}`);
    const given = readCertified(answer.text);
    checkCertified(given, keyPem, old.facts.ca_fingerprint);
    const renewed: AgentIdentity = {
      facts: { ...old.facts, master_fingerprint: given.master_fingerprint.toLowerCase() },
      caPem: given.ca_cert_pem,
      certPem: given.worker_cert_pem,
      keyPem,
    };
    await replaceIdentity(directory, renewed);
    adopt(renewed);
    logger.info({ until: new X509Certificate(renewed.certPem).validTo }, 'the certificate was renewed');
  }
}
