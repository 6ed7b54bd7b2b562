/** Names and addresses under which hosts can reach the swarm controller. */
import { networkInterfaces } from 'node:os';

const EVERYWHERE = ['0.0.0.0', '::'];

const outside = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).filter((one) => !one.internal && one.family === 'IPv4').map((one) => one.address),
  );

/** The first is what a host is told to join; all of them stand in the certificate. */
export function controllerNames(listensOn: string, given: string | undefined): readonly [string, ...string[]] {
  const names = [...(given ? [given] : []), ...(EVERYWHERE.includes(listensOn) ? outside() : [listensOn])];
  return [names[0] ?? '127.0.0.1', ...names.slice(1)];
}
