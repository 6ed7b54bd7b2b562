/** Finding a server's binary: on the PATH, in the cache, or by making it once, under a lock, for everybody on this machine. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { lock } from '../lib/file-lock.ts';

export type Say = (line: string) => void;

/** How often something that takes long says that it is still at work. */
const PROGRESS_MS = 10_000;

const cacheDirectory = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deckhand', 'bin');
export const cachedBinary = (name: string, version: string): string => join(cacheDirectory(), `${name}-${version}`);

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** First match on the PATH; `extra` directories come last (sbin is often not on a user's PATH). */
export function findOnPath(name: string, extra: readonly string[] = []): string | null {
  const directories = [...(process.env.PATH ?? '').split(delimiter), ...extra].filter(Boolean);
  return directories.map((directory) => join(directory, name)).find(isExecutable) ?? null;
}

/** One way of getting a binary. Returns the path of a finished file inside `scratch`; throws when this way is not open. */
export interface Way {
  /** As in "nats: <title>". */
  readonly title: string;
  obtain(scratch: string, say: Say): Promise<string>;
}

/**
 * The cached binary, made by the first of `ways` that works when it is not there yet: in a scratch directory, then renamed into
 * its place, so that what is in the cache is whole. Throws with the reason of every way that failed.
 */
export async function provideBinary(name: string, version: string, ways: readonly Way[], say: Say): Promise<string> {
  const target = cachedBinary(name, version);
  if (isExecutable(target)) return target;
  mkdirSync(cacheDirectory(), { recursive: true });
  const release = await lock(`${target}.lock`, (holder) =>
    say(`waiting for process ${holder.pid}, which is getting it`),
  );
  try {
    if (isExecutable(target)) return target;
    return await firstThatWorks(target, ways, say);
  } finally {
    release();
  }
}

async function firstThatWorks(target: string, ways: readonly Way[], say: Say): Promise<string> {
  clearScratch(target);
  const reasons: string[] = [];
  for (const way of ways) {
    const scratch = mkdtempSync(`${target}.making-`);
    try {
      say(way.title);
      const made = await withProgress(way.title, say, () => way.obtain(scratch, say));
      install(made, target);
      return target;
    } catch (error) {
      reasons.push(`${way.title}: ${(error as Error).message}`);
      say(`${way.title}: did not work`);
    } finally {
      remove(scratch);
    }
  }
  throw new Error(reasons.join('\n'));
}

function install(made: string, target: string): void {
  chmodSync(made, 0o755);
  const beside = `${target}.${process.pid}.tmp`;
  copyFileSync(made, beside);
  chmodSync(beside, 0o755);
  renameSync(beside, target);
}

/** Scratch directories of a process that was killed; the caller holds the lock. */
function clearScratch(target: string): void {
  const prefix = `${basename(target)}.making-`;
  for (const name of readdirSync(dirname(target)).filter((entry) => entry.startsWith(prefix)))
    remove(join(dirname(target), name));
}

/** Go leaves read-only files behind. */
function remove(directory: string): void {
  execFileSync('chmod', ['-R', 'u+w', directory]);
  rmSync(directory, { recursive: true, force: true });
}

async function withProgress<T>(title: string, say: Say, work: () => Promise<T>): Promise<T> {
  const begun = Date.now();
  const timer = setInterval(() => say(`${title}: ${Math.round((Date.now() - begun) / 1000)} s so far`), PROGRESS_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly uid?: number;
  readonly gid?: number;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Runs a command to its end; rejects with the last lines of its output. Killed after `timeoutMs`, and when this process ends. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const { env, timeoutMs = 900_000, ...rest } = options;
    const child = spawn(command, args, {
      ...rest,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      env: { ...process.env, ...env },
    });
    running.add(child);
    child.once('close', () => running.delete(child));
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-1500);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${command} ended with ${code ?? signal}: ${output.trim()}`)),
    );
  });
}

/** `go install <module>@<version>`, the binary's name being the last part of the module's path unless given. */
export function goInstall(module: string, version: string, binary: string): Way {
  return {
    title: `go install ${module}@${version}`,
    async obtain(scratch) {
      const go = findOnPath('go', ['/usr/local/go/bin', '/usr/lib/go/bin']);
      if (!go) throw new Error('there is no Go on the PATH');
      await runCommand(go, ['install', `${module}@${version}`], { env: { GOBIN: scratch } });
      return join(scratch, binary);
    },
  };
}
