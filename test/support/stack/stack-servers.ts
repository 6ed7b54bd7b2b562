/** One set of test servers, by the providers of stack/, in a temporary home; leaves nothing behind. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findByEnvironment, waitForExit } from '../../../lib/process-table.ts';
import { PortBook, withPortsReserved } from '../../../stack/claims.ts';
import type { StackContext } from '../../../stack/context.ts';
import { unmountBelow } from '../../../stack/docker.ts';
import { StackHome } from '../../../stack/home.ts';
import { startServers } from '../../../stack/servers.ts';
import { Supervisor, stopSurvivor } from '../../../stack/supervisor.ts';

const PREFIX = 'deckhand-test-';
/** A younger home may belong to a run that is about to lock it. */
const SETTLED_MS = 30_000;
const STRAYS_MS = 15_000;

export interface TestServers {
  /** What the rooms are given: see test/support/stack/stack.ts. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const sayFor = (part: string) => (line: string) => console.log(`${part}: ${line}`);

function openHome(directory: string): { home: StackHome; supervisor: Supervisor | null } {
  const home = new StackHome(directory);
  return { home, supervisor: Supervisor.acquire({ home, sayFor, onRestarted: () => {} }) };
}

function remove(directory: string): void {
  unmountBelow(directory);
  rmSync(directory, { recursive: true, force: true });
}

/** Servers of stacks whose test was cut off: each carries its home, a directory of this run, in its environment. */
async function stopStrays(directory: string): Promise<void> {
  const strays = findByEnvironment('DECKHAND_HOME').filter(({ value }) => value.startsWith(`${directory}/`));
  // Stacks that were told to stop are on their way; what is left after that is stopped here.
  await Promise.all(strays.map((stray) => waitForExit(stray, STRAYS_MS)));
  await Promise.all(strays.map((stray) => stopSurvivor({ ...stray, name: 'stray', args: [] })));
}

/** Homes of runs that were killed: their servers are stopped, their files removed. One whose run goes on is left alone. */
async function clearLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const directory = join(tmpdir(), name);
    if (Date.now() - statSync(directory).mtimeMs < SETTLED_MS) continue;
    const { supervisor } = openHome(directory);
    if (!supervisor) continue;
    await stopStrays(join(directory, 'tmp'));
    await supervisor.stopSurvivorsBut([]);
    await supervisor.stop();
    remove(directory);
  }
}

/** A server that the environment names already is used as it is, and not stopped. */
export async function startTestServers(): Promise<TestServers> {
  await clearLeftovers();
  const { home, supervisor } = openHome(mkdtempSync(join(tmpdir(), PREFIX)));
  if (!supervisor) throw new Error(`${home.directory} is new and yet locked.`);
  const stop = async () => {
    await stopStrays(home.path('tmp'));
    await supervisor.stop();
    remove(home.directory);
  };
  const { DECKHAND_TEST_TEMPORAL, DECKHAND_TEST_DATABASE_URL, DECKHAND_TEST_NATS_URL, DOCKER_HOST } = process.env;
  try {
    const context: StackContext = {
      home,
      sayFor,
      environment: {
        TEMPORAL_ADDRESS: DECKHAND_TEST_TEMPORAL,
        DATABASE_URL: DECKHAND_TEST_DATABASE_URL,
        NATS_URL: DECKHAND_TEST_NATS_URL,
        DOCKER_HOST,
        DECKHAND_ENGINE: process.env.DECKHAND_ENGINE,
      },
      ports: new PortBook(home, false),
      survives: () => false,
      confirm: () => Promise.resolve(true),
      disposable: true,
    };
    const servers = await withPortsReserved(sayFor('stack'), () => startServers(context, supervisor));
    const env = {
      DECKHAND_TEST_TEMPORAL: servers.temporal.address,
      DECKHAND_TEST_DATABASE_URL: servers.databaseUrl,
      DECKHAND_TEST_NATS_URL: servers.natsUrl,
      DECKHAND_TEST_TMP: home.path('tmp'),
      ...(servers.docker.host ? { DOCKER_HOST: servers.docker.host } : {}),
    };
    return { env, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
