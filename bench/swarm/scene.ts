/** What all contestants share: servers, a certificate authority, hosts with certificates. */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { type Authority, openAuthority } from '../../adapters/pki/authority.ts';
import { makeHosts, SimulatedAgents, type SimulatedHost } from '../../test/support/simulated-agents/launch.ts';
import type { Mode } from '../../test/support/simulated-agents/protocol.ts';
import type { Timing } from './contestant.ts';
import { type BenchServers, startBenchServers } from './servers.ts';
import type { Named } from './usage.ts';

/** What DECNET's stand-ins take for an order, and so all others too. */
export const DISPATCH_MS = 50;
/** What a time may be late by. */
const POLL_MS = 25;
const DEADLINE_MS = 300_000;

export interface Scene {
  readonly bench: BenchServers;
  readonly client: Client;
  readonly authority: Authority;
  readonly caDir: string;
  readonly certificates: string;
  readonly hosts: readonly SimulatedHost[];
  readonly serverProcesses: readonly Named[];
  /** Where programs write CPU profiles; null: nowhere. */
  readonly profile: string | null;
  stop(): Promise<void>;
}

export async function setScene(most: number, profile: string | null, say: (text: string) => void): Promise<Scene> {
  const bench = await startBenchServers(say);
  try {
    const caDir = bench.home.path('ca');
    const authority = await openAuthority(caDir);
    await Promise.all([authority.master(), authority.server([])]);
    const certificates = bench.home.path('hosts');
    mkdirSync(certificates, { mode: 0o700 });
    const hosts = await makeHosts(authority, certificates, most);
    const { address, namespace } = bench.servers.temporal;
    const connection = await Connection.connect({ address });
    return {
      bench,
      client: new Client({ connection, namespace }),
      authority,
      caDir,
      certificates,
      hosts,
      serverProcesses: bench.processes.map((one) => ({ ...one, tree: one.name === 'postgres' })),
      profile,
      stop: async () => {
        await connection.close();
        await bench.stop();
      },
    };
  } catch (error) {
    await bench.stop();
    throw error;
  }
}

export const startAgents = (scene: Scene, count: number, mode: Mode = 'ready'): Promise<SimulatedAgents> =>
  SimulatedAgents.for(
    scene.hosts.slice(0, count),
    { directory: scene.certificates, answerMs: DISPATCH_MS },
    () => mode,
  );

/** Resolves with true once it holds, with false after `ms`. */
export async function until(holds: () => Promise<boolean>, ms = DEADLINE_MS, pollMs = POLL_MS): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(pollMs)) if (await holds()) return true;
  return false;
}

/** Waits for the rows, then for the parent workflow; `begun` is when the request was sent, `accepted` when it was answered. */
export async function timed(
  { client }: Scene,
  begun: number,
  accepted: number,
  run: { readonly parent: string; readonly child: string; readonly ended: () => Promise<boolean> },
): Promise<Timing> {
  if (!(await until(run.ended)))
    throw new Error(`Rows of ${run.parent} are still open after ${DEADLINE_MS / 1_000} s.`);
  const endedMs = performance.now() - begun;
  await client.workflow.getHandle(run.parent).result();
  const closedMs = performance.now() - begun;
  const length = async (id: string): Promise<number> => (await client.workflow.getHandle(id).describe()).historyLength;
  const [parent, child] = await Promise.all([length(run.parent), length(run.child)]);
  return { acceptedMs: accepted - begun, endedMs, closedMs, history: { parent, child } };
}
