/** A new key and certificate before the old one ends, or when the master asks for it. */
import { X509Certificate } from 'node:crypto';
import { createSigningRequest } from '../adapters/pki/certificates.ts';
import { isRenewalDue } from '../adapters/pki/own-identity.ts';
import type { Logger } from '../lib/logger.ts';
import { checkCertified, detailOf, readCertified } from './certified.ts';
import { type AgentIdentity, replaceIdentity } from './identity.ts';
import type { MasterClient } from './master-client.ts';

/** Between two tries, whoever asks. */
const PAUSE_MS = 60_000;
const CHECK_MS = 60 * 60 * 1_000;

export interface RenewalOptions {
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

  /** Looks now and every hour whether it is due. */
  start(): void {
    const look = (): void => {
      const certificate = new X509Certificate(this.#options.identity().certPem);
      const validity = { notBefore: new Date(certificate.validFrom), notAfter: new Date(certificate.validTo) };
      if (isRenewalDue(validity, new Date())) this.request();
    };
    look();
    this.#timer = setInterval(look, CHECK_MS);
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
