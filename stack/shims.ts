/**
 * The processes that hold the containers of a Docker Engine of our own: containerd's shims, which outlive it. An engine that was
 * ended while it started a container does not know of that one's shim any more. Its program runs on unseen, with an address that
 * the decky has elsewhere by then, and no container of that id can be started again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { commandLine, identify, type ProcessIdentity, parentOf, signalOne } from '../lib/process-table.ts';

interface Shim extends ProcessIdentity {
  /** Id of its container. */
  readonly container: string;
}

/** Those whose command line names a containerd below this exec root. */
function shimsOf(execRoot: string): Shim[] {
  return processes().flatMap((pid) => {
    const [program = '', ...args] = commandLine(pid);
    if (!basename(program).startsWith('containerd-shim')) return [];
    const valueAfter = (option: string): string => args[args.indexOf(option) + 1] ?? '';
    const identity = identify(pid);
    if (!identity || !args.includes('-address') || !valueAfter('-address').startsWith(`${execRoot}/`)) return [];
    return [{ ...identity, container: args.includes('-id') ? valueAfter('-id') : '' }];
  });
}

/** As the engine wrote it down before it ended. */
function wasRunning(dataRoot: string, container: string): boolean {
  try {
    const file = join(dataRoot, 'containers', container, 'config.v2.json');
    const { State } = JSON.parse(readFileSync(file, 'utf8')) as { State?: { Running?: unknown } };
    return State?.Running === true;
  } catch {
    return false;
  }
}

/** To be called while the engine is away. Ends what it will not know when it comes back; returns how many. */
export function endStrayShims(execRoot: string, dataRoot: string): number {
  return end(shimsOf(execRoot).filter(({ container }) => !wasRunning(dataRoot, container)));
}

/** To be called when the engine has ended for good. */
export const endShims = (execRoot: string): number => end(shimsOf(execRoot));

function end(shims: readonly Shim[]): number {
  const table = processes();
  for (const shim of shims) {
    // The first process of a container: its others end with it.
    for (const pid of table.filter((one) => parentOf(one) === shim.pid)) {
      const identity = identify(pid);
      if (identity) signalOne(identity, 'SIGKILL');
    }
    signalOne(shim, 'SIGKILL');
  }
  return shims.length;
}

function processes(): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}
