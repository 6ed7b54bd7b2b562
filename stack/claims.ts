/**
 * What stacks of one machine must not choose twice though nothing shows yet that it is taken: subnets before a network is
 * made, ports of agents that happen to be down. A claim is a file that all stacks see; one whose home is gone counts no more.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { readInstance, type StackHome } from './home.ts';

const claimSchema = z.object({ home: z.string(), instance: z.string() });

/** True when it is ours now, or was before. `kind` is a directory of its own among the machine's temporary files. */
export function claimFor(home: StackHome, kind: string, name: string): boolean {
  const directory = join(tmpdir(), kind);
  mkdirSync(directory, { recursive: true, mode: 0o1777 });
  const file = join(directory, name);
  for (let round = 0; round < 3; round++) {
    try {
      writeFileSync(file, JSON.stringify({ home: home.directory, instance: home.instance }), {
        flag: 'wx',
        mode: 0o644,
      });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return true;
    }
    const holder = readClaim(file);
    if (holder?.instance === home.instance) return true;
    // A directory that was made anew is another home.
    if (holder && readInstance(join(holder.home, 'instance')) === holder.instance) return false;
    rmSync(file, { force: true });
  }
  return false;
}

function readClaim(file: string): z.infer<typeof claimSchema> | null {
  if (!existsSync(file)) return null;
  try {
    return claimSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}
