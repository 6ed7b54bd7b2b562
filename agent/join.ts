/** Enrolment: this host makes its key, which never leaves it, and gets a certificate for a one-shot token (docs/agent.md#joining). */
import { request } from 'node:https';
import { createSigningRequest, fingerprintOf } from '../adapters/pki/certificates.ts';
import { checkCertified, detailOf, joined, readAnswer } from './certified.ts';
import { type AgentFacts, replaceIdentity } from './identity.ts';
import { createMasterClient, type MasterAnswer } from './master-client.ts';

export interface JoinOptions {
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

/** Without trust: what comes is believed only if it has the fingerprint that was given. */
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
