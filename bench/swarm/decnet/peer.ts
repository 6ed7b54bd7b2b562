/** DECNET's own run_deploy, in a process of its own for each run, and its swarm controller for heartbeats. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { SimulatedHost } from '../../../test/support/simulated-agents/launch.ts';
import type { Size, Timing } from '../contestant.ts';
import { DISPATCH_MS, type Scene } from '../scene.ts';
import type { ProcessUse } from '../usage.ts';
import { startDecnet } from './program.ts';

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
  const ask = {
    directory: join(scene.bench.home.directory, 'decnet-controller'),
    ca: join(scene.caDir, 'ca.crt'),
    cert: join(scene.caDir, 'swarmctl', 'server.crt'),
    key: join(scene.caDir, 'swarmctl', 'server.key'),
    hosts: hosts.map(({ hostUuid, name, fingerprint }) => ({ uuid: hostUuid, name, fingerprint })),
  };
  const { said, pid, stop } = await startDecnet(python, fileOf('controller'), ask, z.object({ port: z.number() }));
  return { url: `https://127.0.0.1:${said.port}`, pid, stop };
}
