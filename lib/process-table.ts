/**
 * Who is who among the machine's processes. A pid alone proves nothing, since pids are used again: a process is known by its
 * pid and the moment of its start. On Linux from /proc, elsewhere from `ps`.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: boot id and ticks since boot on Linux, `lstart` of ps elsewhere. */
  readonly startedAt: string;
}

const linux = process.platform === 'linux';
let bootId: string | undefined;

function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses and may hold spaces; what follows it is plain.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function linuxStart(pid: number): string | null {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const fields = statFields(pid);
  const state = fields[0];
  if (state === 'Z' || state === 'X') return null;
  return `${bootId}/${fields[19]}`;
}

function psStart(pid: number): string | null {
  const line = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '');
}

/** Null when no such process runs (a zombie does not run). */
export function identify(pid: number): ProcessIdentity | null {
  try {
    const startedAt = linux ? linuxStart(pid) : psStart(pid);
    return startedAt === null ? null : { pid, startedAt };
  } catch {
    return null;
  }
}

/** Whether that very process still runs, not another that got its pid. */
export const isRunning = (identity: ProcessIdentity): boolean =>
  identify(identity.pid)?.startedAt === identity.startedAt;

/** The argument vector; empty when it can't be read. */
export function commandLine(pid: number): string[] {
  try {
    if (linux) return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(/\s+/);
  } catch {
    return [];
  }
}

/** Null when it is gone, and where there is no /proc. */
export function parentOf(pid: number): number | null {
  try {
    return Number(statFields(pid)[1]);
  } catch {
    return null;
  }
}

/** Sends a signal to that very process alone, if it still runs. Returns false when it was gone. */
export function signalOne(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Sends a signal if that very process still runs: to its group for SIGKILL, to it alone otherwise. Returns false when it was gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    process.kill(signal === 'SIGKILL' ? -identity.pid : identity.pid, signal);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ESRCH') return false;
    throw error;
  }
}

/** False also for one that ended a moment ago. */
export function leadsItsGroup(pid: number): boolean {
  try {
    return Number(statFields(pid)[2]) === pid;
  } catch {
    return false;
  }
}

function environmentValue(pid: number, variable: string): string | null {
  try {
    const prefix = `${variable}=`;
    const entry = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((text) => text.startsWith(prefix));
    return entry?.slice(prefix.length) ?? null;
  } catch {
    return null;
  }
}

/**
 * Leaders of process groups whose environment carries `variable`, with its value. Finds what was started in the moment before
 * its pid could be written down. Linux only; elsewhere empty.
 */
export function findByEnvironment(variable: string): (ProcessIdentity & { readonly value: string })[] {
  if (!linux) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .flatMap((pid) => {
      const value = environmentValue(pid, variable);
      if (value === null) return [];
      const identity = identify(pid);
      return identity && leadsItsGroup(pid) ? [{ ...identity, value }] : [];
    });
}

/** Waits until the process is gone; false when it still runs after `timeoutMs`. */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const until = Date.now() + timeoutMs;
  while (isRunning(identity)) {
    if (Date.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
