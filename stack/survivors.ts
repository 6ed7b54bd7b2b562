/** What a supervisor that was killed left running: found by what it wrote down, or by the mark in their environment. */
import { basename } from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../lib/files.ts';
import {
  commandLine,
  findByEnvironment,
  isRunning,
  type ProcessIdentity,
  signalProcess,
  waitForExit,
} from '../lib/process-table.ts';
import type { StackHome } from './home.ts';
import { MARK, markOf } from './supervised-process.ts';

const recordSchema = z.object({
  processes: z.array(
    z.object({
      name: z.string(),
      pid: z.number().int().positive(),
      startedAt: z.string(),
      command: z.string(),
      args: z.array(z.string()),
    }),
  ),
});
export type ProcessRecord = z.infer<typeof recordSchema>['processes'][number];

export interface Survivor extends ProcessIdentity {
  readonly name: string;
  readonly args: readonly string[];
}

const recordFile = (home: StackHome): string => home.path('processes.json');

export function recordProcesses(home: StackHome, processes: readonly ProcessRecord[]): void {
  writeJson(recordFile(home), { processes });
}

/** Only what is provably ours: same pid and start time as recorded, or our instance's mark and the program that the mark names. */
export function findSurvivors(home: StackHome): Survivor[] {
  const recorded = readJson(recordFile(home), recordSchema)?.processes ?? [];
  const found = new Map<number, Survivor>();
  for (const { name, pid, startedAt, args } of recorded)
    if (isRunning({ pid, startedAt })) found.set(pid, { name, pid, startedAt, args });
  for (const { pid, startedAt, value } of findByEnvironment(MARK)) {
    const [command = '', ...args] = commandLine(pid);
    const name = value.split(':')[1] ?? '';
    if (value === markOf(home.instance, { name, command: basename(command) }) && !found.has(pid))
      found.set(pid, { name, pid, startedAt, args });
  }
  return [...found.values()];
}

/** Stops a survivor that is not taken over. */
export async function stopSurvivor(survivor: Survivor, politeMs = 15_000): Promise<void> {
  if (signalProcess(survivor, 'SIGTERM') && !(await waitForExit(survivor, politeMs))) {
    signalProcess(survivor, 'SIGKILL');
    await waitForExit(survivor, 5_000);
  }
}
