/**
 * What stacks of one machine must not choose twice though nothing shows yet that it is taken: subnets before a network is
 * made, ports of agents that happen to be down, those of a running stack's server that is being started again. A claim is a file that all stacks see; one whose home is gone counts no more.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { readInstance, type StackHome } from './home.ts';

const claimSchema = z.object({ home: z.string(), instance: z.string(), pid: z.number().int().optional() });
type Claim = z.infer<typeof claimSchema>;

/**
 * True when it is ours now, or was before. `kind` is a directory of its own among the machine's temporary files. With
 * `whileRunning` the claim ends with this process, else with the home.
 */
export function claimFor(home: StackHome, kind: string, name: string, { whileRunning = false } = {}): boolean {
  const directory = join(tmpdir(), kind);
  mkdirSync(directory, { recursive: true, mode: 0o1777 });
  const file = join(directory, name);
  const claim: Claim = {
    home: home.directory,
    instance: home.instance,
    ...(whileRunning ? { pid: process.pid } : {}),
  };
  for (let round = 0; round < 3; round++) {
    try {
      writeFileSync(file, JSON.stringify(claim), { flag: 'wx', mode: 0o644 });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
    }
    const holder = readClaim(file);
    if (holder?.instance === home.instance && holder.pid === claim.pid) return true;
    if (holder && holder.instance !== home.instance && counts(holder)) return false;
    rmSync(file, { force: true });
  }
  return false;
}

/** A directory that was made anew is another home; a process that is gone holds nothing. */
const counts = ({ home, instance, pid }: Claim): boolean =>
  readInstance(join(home, 'instance')) === instance && (pid === undefined || isAlive(pid));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readClaim(file: string): Claim | null {
  if (!existsSync(file)) return null;
  try {
    return claimSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}
