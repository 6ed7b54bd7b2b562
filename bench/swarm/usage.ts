/** CPU time and highest memory of processes, from /proc; nothing where there is no /proc. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Named {
  readonly name: string;
  readonly pid: number;
  /** With its children, those that have ended too: PostgreSQL has a process for each connection. */
  readonly tree?: boolean;
}

export interface ProcessUse {
  readonly cpuSeconds: number;
  /** Highest resident memory since the process began; of a tree: of what is there now, shared pages counted for each. */
  readonly peakMb: number;
}

/** USER_HZ, which Linux fixes at 100 for what /proc shows: a reading is good to 10 ms. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly parent: number;
  readonly own: number;
  readonly ofEndedChildren: number;
}

function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name in parentheses: state, ppid, …; utime is the 12th, then stime, cutime, cstime.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (index: number): number => fields[index] ?? 0;
    return { parent: at(1), own: at(11) + at(12), ofEndedChildren: at(13) + at(14) };
  } catch {
    return null;
  }
}

function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => statOf(child)?.parent === pid);

export function useOf({ pid, tree = false }: Named): ProcessUse {
  if (process.platform !== 'linux') return { cpuSeconds: Number.NaN, peakMb: Number.NaN };
  const stat = statOf(pid);
  const children = tree ? childrenOf(pid) : [];
  const ticks =
    (stat?.own ?? 0) +
    (tree ? (stat?.ofEndedChildren ?? 0) : 0) +
    children.reduce((sum, child) => sum + (statOf(child)?.own ?? 0), 0);
  const peakMb = peakOf(pid) + children.reduce((sum, child) => sum + peakOf(child), 0);
  return { cpuSeconds: ticks / TICKS_PER_SECOND, peakMb };
}

export type Uses = Readonly<Record<string, ProcessUse>>;

export const usesOf = (processes: readonly Named[]): Uses =>
  Object.fromEntries(processes.map((one) => [one.name, useOf(one)]));

/** CPU time of what lies between two readings; memory of the second. */
export const between = (before: Uses, after: Uses): Uses =>
  Object.fromEntries(
    Object.entries(after).map(([name, { cpuSeconds, peakMb }]) => [
      name,
      { cpuSeconds: cpuSeconds - (before[name]?.cpuSeconds ?? 0), peakMb },
    ]),
  );
