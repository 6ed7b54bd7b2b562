/** Requests to a master that speaks TLS: whom to trust besides Node's own authorities. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { Agent, fetch as fetchBy } from 'undici';
import { CliError, EXIT } from './exit-codes.ts';

export type Fetch = (url: URL | string, init?: RequestInit) => Promise<Response>;

/** `file` holds authorities in PEM. Throws CliError when it can't be read. */
export function fetchTrusting(file: string): Fetch {
  const dispatcher = new Agent({ connect: { ca: [...rootCertificates, readAuthorities(file)] } });
  // The same interfaces, by the library that Node's own fetch is made of.
  return (url, init) =>
    fetchBy(url, { ...init, dispatcher } as Parameters<typeof fetchBy>[1]) as Promise<unknown> as Promise<Response>;
}

function readAuthorities(file: string): string {
  const advice =
    'Name a file in PEM by --ca or DECKHAND_CA: the certificate of the authority that signed the master’s.';
  try {
    const text = readFileSync(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (cause) {
    throw new CliError(EXIT.couldNotAsk, `${file} can’t be read: ${(cause as Error).message}`, { advice, cause });
  }
  throw new CliError(EXIT.couldNotAsk, `${file} holds no certificate.`, { advice });
}
