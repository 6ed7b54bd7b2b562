/** The TLS side: TLS_CERT and TLS_KEY where they are given, else a self-signed certificate that is made at start. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { ber, berInteger, berOid, TAG } from './ber.mjs';
import { hostname, setting } from './settings.mjs';

let made;

/** `{ TLSSocket, secureContext }`, made once; node:tls is loaded only where TLS is spoken. Rejects when the given PEM is wrong. */
export const secureContext = () => {
  made ??= make();
  return made;
};

async function make() {
  const { TLSSocket, createSecureContext } = await import('node:tls');
  const given = { cert: pem('TLS_CERT'), key: pem('TLS_KEY') };
  if (!given.cert !== !given.key) throw new Error('TLS_CERT and TLS_KEY must be given together, or neither of them');
  const { cert, key } = given.cert ? given : selfSigned(setting('TLS_CN', hostname()));
  try {
    return { TLSSocket, secureContext: createSecureContext({ cert, key, minVersion: 'TLSv1.2' }) };
  } catch (error) {
    // OpenSSL's messages name the kind of fault, never the key.
    throw new Error(`TLS_CERT and TLS_KEY can't be used: ${error.code ?? error.message}`);
  }
}

/** An environment file can't carry line breaks, so that a literal `\n` counts as one. */
const pem = (name) => (process.env[name] ?? '').replaceAll('\\n', '\n').trim() || undefined;

/** A certificate for a name, valid from 30 days ago for two years, and its key (P-256), both PEM. */
export function selfSigned(commonName) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = ber(TAG.sequence, berOid('1.2.840.10045.4.3.2'));
  const name = ber(
    TAG.sequence,
    ber(TAG.set, ber(TAG.sequence, berOid('2.5.4.3'), ber(TAG.utf8, Buffer.from(commonName.slice(0, 64))))),
  );
  const now = Date.now();
  const toBeSigned = ber(
    TAG.sequence,
    ber(0xa0, berInteger(2)),
    ber(TAG.integer, Buffer.concat([Buffer.of(0x4d), randomBytes(15)])),
    algorithm,
    name,
    ber(TAG.sequence, utcTime(now - 30 * 86_400_000), utcTime(now + 700 * 86_400_000)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    ber(0xa3, ber(TAG.sequence, subjectAltName(commonName))),
  );
  const signature = ber(TAG.bitString, Buffer.of(0), sign('sha256', toBeSigned, privateKey));
  const certificate = ber(TAG.sequence, toBeSigned, algorithm, signature).toString('base64');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function subjectAltName(commonName) {
  const dnsName = commonName.replace(/[^A-Za-z0-9.*-]/g, '-').slice(0, 200);
  return ber(
    TAG.sequence,
    berOid('2.5.29.17'),
    ber(TAG.octets, ber(TAG.sequence, ber(0x82, Buffer.from(dnsName, 'latin1')))),
  );
}

/** YYMMDDHHMMSSZ, which holds until 2049. */
const utcTime = (ms) => {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14);
  return ber(0x17, Buffer.from(`${digits}Z`));
};
