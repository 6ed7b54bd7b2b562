/** DECNET's own run_deploy, in a process of its own for each run, and its swarm controller for heartbeats. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { SimulatedHost } from '../../../test/support/simulated-agents/launch.ts';
import type { Size, Timing } from '../contestant.ts';
import { track } from '../program.ts';
import { DISPATCH_MS, type Scene } from '../scene.ts';
import type { ProcessUse } from '../usage.ts';

const run = promisify(execFile);
const fileOf = (name: string): string => fileURLToPath(new URL(`./${name}.py`, import.meta.url));
const RUN_TIMEOUT_MS = 600_000;

const result = z.object({
  accepted_seconds: z.number(),
  dispatched_seconds: z.number(),
  ended_seconds: z.number(),
  succeeded: z.number(),
  cpu_seconds: z.number(),
  memory_mb: z.number(),
});

export interface DecnetRun {
  readonly timing: Timing;
  readonly use: ProcessUse;
}

export async function runDecnet(scene: Scene, python: string, { hosts, deckies }: Size): Promise<DecnetRun> {
  const directory = join(scene.bench.home.directory, 'decnet');
  const ask = { hosts, deckies, dispatch_seconds: DISPATCH_MS / 1_000, directory };
  try {
    const { stdout } = await run(python, [fileOf('deploy'), JSON.stringify(ask)], { timeout: RUN_TIMEOUT_MS });
    const found = result.parse(JSON.parse(stdout.split('\n').find((line) => line.startsWith('{')) ?? ''));
    if (found.succeeded !== hosts * deckies)
      throw new Error(`DECNET: ${found.succeeded} of ${hosts * deckies} rows succeeded.`);
    return {
      timing: {
        acceptedMs: found.accepted_seconds * 1_000,
        endedMs: found.ended_seconds * 1_000,
        closedMs: null,
        history: null,
      },
      use: { cpuSeconds: found.cpu_seconds, peakMb: found.memory_mb },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export interface DecnetController {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Its swarm controller, with these hosts enrolled; trusts our CA. */
export async function startController(
  scene: Scene,
  python: string,
  hosts: readonly SimulatedHost[],
): Promise<DecnetController> {
  const directory = join(scene.bench.home.directory, 'decnet-controller');
  mkdirSync(directory, { recursive: true });
  const child = spawn(python, [fileOf('controller')], { stdio: ['pipe', 'pipe', 'ignore'] });
  track(child);
  const ask = {
    directory,
    ca: join(scene.caDir, 'ca.crt'),
    cert: join(scene.caDir, 'swarmctl', 'server.crt'),
    key: join(scene.caDir, 'swarmctl', 'server.key'),
    hosts: hosts.map(({ hostUuid, name, fingerprint }) => ({ uuid: hostUuid, name, fingerprint })),
  };
  child.stdin.end(`${JSON.stringify(ask)}\n`);
  const stop = (): Promise<void> => end(child, directory);
  try {
    const port = await portOf(child);
    return { url: `https://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function portOf(child: ChildProcess): Promise<number> {
  if (child.stdout)
    for await (const line of createInterface({ input: child.stdout }))
      if (line.startsWith('{')) {
        child.stdout.resume();
        return z.object({ port: z.number() }).parse(JSON.parse(line)).port;
      }
  throw new Error('DECNET’s swarm controller did not start.');
}

async function end(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(directory, { recursive: true, force: true });
}
