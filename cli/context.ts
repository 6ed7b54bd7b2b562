/** What every command gets: the outside, the flags that all share, and a master to ask. */
import { createApiClient } from './api-client.ts';
import { type Connection, type ConnectionOptions, homeOf, resolveConnection } from './connection.ts';
import { type Feed, feedOf } from './event-stream.ts';
import type { Io } from './io.ts';
import { type Hosts, hostsOf, type Master, masterOf } from './master.ts';

export interface GlobalOptions extends ConnectionOptions {
  readonly json?: boolean | undefined;
}

export interface Context {
  readonly io: Io;
  readonly json: boolean;
  /** Absolute path of the state directory, whether it exists or not. */
  readonly home: string;
  /** The API is named by flag or environment: this directory's stack is not what is meant. */
  readonly remote: boolean;
  connection(): Connection;
  readonly master: Master;
  readonly hosts: Hosts;
  readonly feed: Feed;
}

export function contextOf(io: Io, options: GlobalOptions): Context {
  const connection = () => resolveConnection(options, io.environment);
  const client = createApiClient(connection, io.interrupted);
  return {
    io,
    json: options.json === true,
    home: homeOf(options, io.environment),
    remote: Boolean(options.api ?? io.environment.DECKHAND_API_URL),
    connection,
    master: masterOf(client),
    hosts: hostsOf(client),
    feed: feedOf(client, connection),
  };
}

/** The one document of `--json`. */
export const printJson = (io: Io, value: unknown): void => io.out(JSON.stringify(value, null, 2));
