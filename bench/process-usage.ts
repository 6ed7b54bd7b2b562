/** CPU time and memory of a process, from /proc; null where there is no /proc. */
import { readFileSync } from 'node:fs';

export interface Usage {
  readonly cpuSeconds: number;
  readonly residentMb: number;
}

/** USER_HZ, which Linux fixes at 100 for what /proc shows: a reading is good to 10 ms. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/<pid>/stat after the name in parentheses; utime, stime, then the same of children that were waited for. */
const UTIME = 11;
const STIME = 12;
const CHILDREN_UTIME = 13;
const CHILDREN_STIME = 14;

function statFields(pid: number | 'self'): readonly number[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
}

const secondsOf = (fields: readonly number[], ...at: readonly number[]): number =>
  at.reduce((sum, index) => sum + (fields[index] ?? 0), 0) / TICKS_PER_SECOND;

export function usageOf(pid: number | 'self'): Usage | null {
  if (process.platform !== 'linux') return null;
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return { cpuSeconds: secondsOf(statFields(pid), UTIME, STIME), residentMb: Number(resident) / 1024 };
}

/** CPU seconds of all children of this process that have ended, their own children included. */
export function endedChildrenCpuSeconds(): number | null {
  return process.platform === 'linux' ? secondsOf(statFields('self'), CHILDREN_UTIME, CHILDREN_STIME) : null;
}
