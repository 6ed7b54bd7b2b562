/**
 * Our programs as files that Node loads by itself: esbuild bundles them when a source has changed, and what it made is kept
 * beside the packages, which stay outside. Loading module by module through tsx costs a program about a second of processor
 * time at each start (docs/decisions.md). Plain Node, for what runs before TypeScript can.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ROOT, runTypeScript } from './bootstrap.mjs';

/** What can be run, from the checkout on. */
export const PROGRAMS = ['agent/main.ts', 'api/main.ts', 'cli/main.ts', 'stack/main.ts', 'worker/main.ts'];
const LOADERS = { '.ts': 'ts', '.json': 'json', '.mjs': 'js' };
/** Younger ones may still be run by somebody. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex').slice(0, 24);
};

/** A checkout's own: paths of its files are in what is made. */
const placesOf = (root) => {
  const cache = join(root, 'node_modules', '.cache', 'deckhand');
  return { cache, record: join(cache, `programs-${sha256(root)}.json`) };
};

/** What the result depends on besides the sources: this file, and the packages' versions. */
const circumstances = (root) =>
  [fileURLToPath(import.meta.url), join(root, 'package-lock.json')].map((file) => readFileSync(file));

/** `sources`: contents by path from the checkout on. */
function digestOf(root, sources) {
  const named = [...sources].sort(([one], [other]) => (one < other ? -1 : 1));
  return sha256(root, ...circumstances(root), ...named.flat());
}

/** The directory of what was made before; null where a source has changed since, or is gone. */
function kept(root) {
  const { cache, record } = placesOf(root);
  try {
    const { directory, sources } = JSON.parse(readFileSync(record, 'utf8'));
    // One after the other: 370 files take 12 ms, and 400 by the threads that read for promises.
    const contents = sources.map((path) => [path, readFileSync(join(root, path))]);
    return digestOf(root, contents) === directory && existsSync(join(cache, directory)) ? join(cache, directory) : null;
  } catch {
    return null;
  }
}

/** A bundle is one file, and each source has to know where it lies itself. */
const sourcesKnowTheirPlace = (root, sources) => ({
  name: 'sources-know-their-place',
  setup: (build) =>
    build.onLoad({ filter: /\.(ts|json|mjs)$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8');
      sources.set(relative(root, path), contents);
      return {
        contents: contents.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
        loader: LOADERS[extname(path)],
      };
    }),
});

async function make(root, programs) {
  const { cache, record } = placesOf(root);
  const temporary = join(cache, `making-${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const esbuild = await import('esbuild');
  const sources = new Map();
  const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: programs,
    outbase: root,
    outdir: temporary,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    chunkNames: 'shared/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    write: false,
    plugins: [sourcesKnowTheirPlace(root, sources)],
  });
  for (const { path, contents } of outputFiles) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, contents);
  }
  const name = digestOf(root, sources);
  const directory = join(cache, name);
  // Another process may have made the same.
  await rename(temporary, directory).catch(async (error) => {
    if (!['ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
    await rm(temporary, { recursive: true, force: true });
  });
  await writeFile(`${record}.${process.pid}`, JSON.stringify({ directory: name, sources: [...sources.keys()] }));
  await rename(`${record}.${process.pid}`, record);
  await removeOld(cache, name);
  return directory;
}

async function removeOld(cache, current) {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    const info = name === current ? null : await stat(path).catch(() => null);
    if (info !== null && Date.now() - info.mtimeMs > KEPT_MS) await rm(path, { recursive: true, force: true });
  }
}

/** Returns the path of what Node loads for a program; makes it (a quarter of a second) where the sources are new. */
export async function loadable(program, { root = ROOT, programs = PROGRAMS } = {}) {
  const directory = kept(root) ?? (await make(root, programs));
  return join(directory, program.replace(/\.ts$/, '.mjs'));
}

/** Runs a program in this process, where nothing can be written by tsx. Returns its module. */
export async function runProgram(program, { root = ROOT, programs = PROGRAMS } = {}) {
  let file;
  try {
    file = await loadable(program, { root, programs });
  } catch (error) {
    // A system call that failed: the checkout may be another user's.
    if (error?.syscall === undefined) throw error;
    return runTypeScript(pathToFileURL(join(root, program)));
  }
  // Stack traces point into the sources.
  process.setSourceMapsEnabled(true);
  return import(pathToFileURL(file).href);
}
