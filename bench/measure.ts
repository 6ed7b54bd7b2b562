/** One measured run of something, and what a number of them come to. */
import { endedChildrenCpuSeconds, usageOf } from './process-usage.ts';

/** Whose CPU time and memory count: a process, this one, or the children that this one starts and waits for. */
export type Subject = { readonly pid: number } | 'self' | 'children';

export interface Sample {
  readonly ms: number;
  readonly cpuSeconds: number | null;
  readonly residentMb: number | null;
}

function readingOf(subject: Subject): { readonly cpuSeconds: number | null; readonly residentMb: number | null } {
  if (subject === 'children') return { cpuSeconds: endedChildrenCpuSeconds(), residentMb: null };
  return usageOf(subject === 'self' ? 'self' : subject.pid) ?? { cpuSeconds: null, residentMb: null };
}

export async function measure(subject: Subject, work: () => Promise<unknown>): Promise<Sample> {
  const before = readingOf(subject);
  const begun = performance.now();
  await work();
  const ms = performance.now() - begun;
  const after = readingOf(subject);
  const cpuSeconds =
    before.cpuSeconds === null || after.cpuSeconds === null ? null : after.cpuSeconds - before.cpuSeconds;
  return { ms, cpuSeconds, residentMb: after.residentMb };
}

export interface Summary {
  readonly count: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Mean, since a reading is good to 10 ms only. */
  readonly cpuSeconds: number | null;
  readonly residentMb: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);

/** Null when nothing was measured. */
export function summarise(samples: readonly Sample[]): Summary | null {
  if (samples.length === 0) return null;
  const times = samples.map(({ ms }) => ms);
  const cpu = known(samples.map(({ cpuSeconds }) => cpuSeconds));
  const memory = known(samples.map(({ residentMb }) => residentMb));
  return {
    count: samples.length,
    medianMs: median(times),
    minMs: Math.min(...times),
    maxMs: Math.max(...times),
    cpuSeconds: cpu.length > 0 ? cpu.reduce((sum, one) => sum + one, 0) / cpu.length : null,
    residentMb: memory.length > 0 ? Math.max(...memory) : null,
  };
}
