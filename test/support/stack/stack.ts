/** Typed access to the test servers, for the rooms that need them. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

const HOW_TO_RUN =
  'Run this room by `node test/run.mjs <room or file>`, which brings its servers, or bring them by `node test/run.mjs --serve` and set the variables that it prints.';

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set. ${HOW_TO_RUN}`);
  return value;
}

/** Each value throws, with how to run the room, when its server is not there. */
export const testServers = {
  /** host:port */
  get temporalAddress(): string {
    return required('DECKHAND_TEST_TEMPORAL');
  },
  get databaseUrl(): string {
    return required('DECKHAND_TEST_DATABASE_URL');
  },
  get natsUrl(): string {
    return required('DECKHAND_TEST_NATS_URL');
  },
  /** As in DOCKER_HOST; null where this machine can have no Docker Engine. */
  get dockerHost(): string | null {
    return process.env.DOCKER_HOST || null;
  },
};

/** A new directory of this test's own, removed with the servers. */
export function testDirectory(prefix: string): string {
  const base = required('DECKHAND_TEST_TMP');
  mkdirSync(base, { recursive: true, mode: 0o711 });
  return mkdtempSync(join(base, `${prefix}-`));
}
