/** PostgreSQL, NATS and Temporal of the bench's own, as `npm start` has them (their data does reach the disk), in a temporary home. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PortBook, withPortsReserved } from '../../stack/claims.ts';
import type { StackContext } from '../../stack/context.ts';
import { StackHome } from '../../stack/home.ts';
import { removeDirectory } from '../../stack/postgres.ts';
import { type Servers, startServers } from '../../stack/servers.ts';
import { Supervisor } from '../../stack/supervisor.ts';

export interface BenchServers {
  readonly home: StackHome;
  readonly servers: Servers;
  /** `temporal`, `postgres`, `nats`. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
  stop(): Promise<void>;
}

export async function startBenchServers(say: (text: string) => void): Promise<BenchServers> {
  const home = new StackHome(mkdtempSync(join(tmpdir(), 'deckhand-bench-swarm-')));
  const sayFor = (part: string) => (line: string) => say(`${part}: ${line}`);
  const supervisor = Supervisor.acquire({ home, sayFor, onRestarted: (name) => say(`${name} died and was restarted`) });
  if (!supervisor) throw new Error(`${home.directory} is new and yet locked.`);
  const stop = async (): Promise<void> => {
    await supervisor.stop();
    removeDirectory(home.state.postgresDirectory ?? home.path('postgres'), home.instance);
    rmSync(home.directory, { recursive: true, force: true });
  };
  const context: StackContext = {
    home,
    sayFor,
    // Whatever the shell names: servers of its own, and no engine, which no part of this needs.
    environment: { DECKHAND_ENGINE: 'simulated' },
    ports: new PortBook(home, false),
    survives: () => false,
    confirm: () => Promise.resolve(true),
    disposable: false,
  };
  try {
    const servers = await withPortsReserved(sayFor('stack'), () => startServers(context, supervisor));
    return { home, servers, processes: supervisor.processes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
