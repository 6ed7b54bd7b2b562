/** Bundles our programs by esbuild: once for the sources as they are. Plain Node; loaded only when something has changed. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { circumstances, placesOf, stampOf } from './kept.mjs';

const LOADERS = { '.ts': 'ts', '.json': 'json', '.mjs': 'js' };
/** Younger ones may still be run by somebody. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex').slice(0, 24);
};

/** `sources`: contents by path from the checkout on. */
function digestOf(root, sources) {
  const named = [...sources].sort(([one], [other]) => (one < other ? -1 : 1));
  const others = circumstances(root).map((file) => readFileSync(file));
  return sha256(root, ...others, ...named.flat());
}

/** What was made before, where files were touched only: their contents are the same. Else null. */
async function sameContents(root) {
  const { cache, record } = placesOf(root);
  try {
    const { directory, stamps } = JSON.parse(readFileSync(record, 'utf8'));
    const others = new Set(circumstances(root));
    const paths = Object.keys(stamps).filter((path) => !others.has(path));
    const seen = stampsOf(root, paths);
    // One after the other: 370 files take 12 ms, and 400 by the threads that read for promises.
    const contents = paths.map((path) => [path, readFileSync(join(root, path))]);
    if (digestOf(root, contents) !== directory || !existsSync(join(cache, directory))) return null;
    await remember(record, directory, seen);
    return join(cache, directory);
  } catch {
    return null;
  }
}

const stampsOf = (root, paths) =>
  Object.fromEntries([
    ...circumstances(root).map((file) => [file, stampOf(file)]),
    ...paths.map((path) => [path, stampOf(join(root, path))]),
  ]);

/** In one step, since many may start at the same time. */
async function remember(record, directory, stamps) {
  const temporary = `${record}.${process.pid}`;
  await writeFile(temporary, JSON.stringify({ directory, stamps }));
  await rename(temporary, record);
}

/** A bundle is one file, and each source has to know where it lies itself. */
const sourcesKnowTheirPlace = (root, sources) => ({
  name: 'sources-know-their-place',
  setup: (build) =>
    build.onLoad({ filter: /\.(ts|json|mjs)$/ }, async ({ path }) => {
      // Before it is read: what is written meanwhile has another one.
      const stamp = stampOf(path);
      const contents = await readFile(path, 'utf8');
      sources.set(relative(root, path), { contents, stamp });
      return {
        contents: contents.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
        loader: LOADERS[extname(path)],
      };
    }),
});

/** Returns the directory of what Node loads. */
export async function bundle(root, programs) {
  return (await sameContents(root)) ?? (await make(root, programs));
}

async function make(root, programs) {
  const { cache, record } = placesOf(root);
  const temporary = join(cache, `making-${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const own = stampsOf(root, []);
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
  const name = digestOf(
    root,
    [...sources].map(([path, { contents }]) => [path, contents]),
  );
  const directory = join(cache, name);
  // Another process may have made the same.
  await rename(temporary, directory).catch(async (error) => {
    if (!['ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
    await rm(temporary, { recursive: true, force: true });
  });
  const stamps = Object.fromEntries([...sources].map(([path, { stamp }]) => [path, stamp]));
  await remember(record, name, { ...own, ...stamps });
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
