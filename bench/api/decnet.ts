/** DECNET 1.0.0's own API, on an SQLite file, under uvicorn in one process as its command runs it. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startDecnet } from '../swarm/decnet/program.ts';
import type { BenchServers } from '../swarm/servers.ts';
import { type Contestant, IDS } from './contestant.ts';

const SCRIPT = fileURLToPath(new URL('./decnet-rows.py', import.meta.url));
const said = z.object({ port: z.number(), ended: z.array(z.string()), running: z.array(z.string()) });

export async function startDecnetApi(bench: BenchServers, python: string): Promise<Contestant> {
  // Its rule for passwords wants one of each kind.
  const password = `${randomBytes(18).toString('base64url')}aA1!`;
  const ask = { directory: bench.home.path('decnet-api'), password, ids: IDS };
  const program = await startDecnet(python, SCRIPT, ask, said);
  const { port, ended, running } = program.said;
  return {
    name: 'DECNET',
    url: `http://127.0.0.1:${port}/api/v1`,
    password,
    process: { name: 'decnet', pid: program.pid },
    database: null,
    ids: { 'all ended': ended, 'all running': running },
    stop: program.stop,
  };
}
