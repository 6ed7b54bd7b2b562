/** Connects as NATS_URL says. The client itself takes no credentials from an address. */
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';

const ADDRESS = /^(?:(?<scheme>[a-z]+):\/\/)?(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<server>.*)$/;

/** `nats://user:password@host:port`, `nats://token@host:port`, `tls://…`; several with commas between them. */
export function natsOptions(url: string): ConnectionOptions {
  const found = url.split(',').map((address) => ADDRESS.exec(address.trim())?.groups ?? {});
  const { user, password } = found.find((one) => one.user) ?? {};
  return {
    servers: found.map(({ server = '' }) => server),
    ...(found.some(({ scheme }) => scheme === 'tls') ? { tls: {} } : {}),
    ...(user && password !== undefined ? { user: decoded(user), pass: decoded(password) } : {}),
    ...(user && password === undefined ? { token: decoded(user) } : {}),
  };
}

/** As it stands where a `%` is none of an encoding. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const connectNats = (url: string, options: Omit<ConnectionOptions, 'servers'>): Promise<NatsConnection> =>
  connect({ ...natsOptions(url), ...options });

export const withoutCredentials = (url: string): string => url.replace(/(^|\/\/|,)[^@/,]*@/g, '$1');
