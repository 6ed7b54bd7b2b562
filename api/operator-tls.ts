/** The operators' listener's certificate: read from two files, and taken up anew when they change. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Logger } from '../lib/logger.ts';

export interface KeyPair {
  /** The certificate and what it chains by, in PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface OperatorTls {
  current(): KeyPair;
  /** Tells of each new pair; the answer ends that. */
  follow(take: (pair: KeyPair) => void): () => void;
}

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** How often the files are looked at. */
const LOOK_MS = 30_000;

/** Throws an Error that names the files when they can't be read or don't fit each other. */
function readPair({ certFile, keyFile }: TlsFiles): KeyPair {
  try {
    const pair = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Error(
      `DECKHAND_TLS_CERT (${certFile}) and DECKHAND_TLS_KEY (${keyFile}) make no certificate: ${reason}. Both are PEM; the first begins with the listener's own certificate.`,
      { cause },
    );
  }
}

/** Reads the pair now; a later one that is not whole is logged, and the one before stays. */
export function openOperatorTls(files: TlsFiles, logger: Logger, lookMs = LOOK_MS): OperatorTls {
  let pair = readPair(files);
  return {
    current: () => pair,
    follow(take) {
      const look = (): void => {
        try {
          const now = readPair(files);
          if (now.cert === pair.cert && now.key === pair.key) return;
          pair = now;
          take(now);
          logger.info('the operators’ listener has a new certificate');
        } catch (error) {
          logger.warn({ err: error }, 'the operators’ listener keeps its certificate');
        }
      };
      const timer = setInterval(look, lookMs).unref();
      return () => clearInterval(timer);
    },
  };
}
