/** What the environment says; service configuration arrives as the variables of the catalogue's `service_cfg_keys`. */
import { createHash } from 'node:crypto';
import { networkInterfaces, hostname as systemHostname } from 'node:os';

/** A variable as one line without control characters, fit for a greeting; `otherwise` when it is absent or empty. */
export function setting(name, otherwise) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a greeting.
  const value = (process.env[name] ?? '').replace(/[\x00-\x1f\x7f]+/g, ' ').trim();
  return value === '' ? otherwise : value.slice(0, 512);
}

export const flag = (name) => ['1', 'true', 'yes', 'on'].includes((process.env[name] ?? '').trim().toLowerCase());

/** The host name to show: a service's own variable first, then the decky's. */
export const hostname = (ownVariable) =>
  (ownVariable && setting(ownVariable)) || setting('HOSTNAME') || setting('NODE_NAME') || systemHostname();

/** The same bytes at every start of the same decky, so that it looks like one machine: `label` tells the uses apart. */
export const deckyBytes = (label, length) =>
  createHash('shake256', { outputLength: length })
    .update(`${setting('NODE_NAME', '')}/${hostname()}/${label}`)
    .digest();

/** The decky's own IPv4 address, as four bytes; 127.0.0.1 where there is none. */
export function ownAddress() {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal);
  return Buffer.from((found?.address ?? '127.0.0.1').split('.').map(Number));
}
