/**
 * The images of the built-in decoys, as build contexts: `deckhand/base:<hash>` holds the running Node and the one program,
 * `deckhand/<service>:<hash>` adds the command. A tag is the hash of what is in the image, so that an image that exists
 * under its tag never needs a build. The classic builder suffices.
 *
 * On Linux the base is made `FROM scratch` of the running executable. Elsewhere, and where Node is split into a shared
 * library, it is made from Node's own image, which has to be pulled; that way could not be tried on the machine it was written on.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import catalog from '../fleet/catalog.json' with { type: 'json' };
import { type ContextEntry, tarOf } from './build-context.ts';
import { canCarryNode, defaultCacheDir, linkedLibraries, nodeIdentity, strippedNode } from './node-runtime.ts';

export { loadOperatorContexts } from './operator-contexts.ts';

export interface ImageContext {
  readonly image: string;
  /** Tag of the image that must exist first, when it is one of ours. */
  readonly parent: string | null;
  /** Docker build context as a tar stream, made anew at each call. */
  readonly tar: () => Promise<NodeJS.ReadableStream> | NodeJS.ReadableStream;
}

export interface BuiltinImages {
  readonly baseImage: string;
  /** The tag for a service of the catalogue; undefined for others. */
  serviceImage(service: string): string | undefined;
  /** The build context of one of our tags; undefined for others. */
  context(image: string): ImageContext | undefined;
}

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'program');
/** Small heaps and one helper thread: a fleet runs hundreds of these. */
const NODE_FLAGS = ['--max-old-space-size=64', '--max-semi-space-size=2', '--v8-pool-size=1'];
const SERVICES = catalog.services.filter((service) => service.selectable_for_deckies).map((service) => service.name);

/** How the base image is made on this machine: where Node lies in it, and the Dockerfile's first and later lines. */
interface Recipe {
  readonly carriesNode: boolean;
  readonly from: string;
  readonly node: string;
}

const recipe = (): Recipe =>
  canCarryNode()
    ? { carriesNode: true, from: 'scratch', node: '/usr/bin/node' }
    : { carriesNode: false, from: `node:${process.version.slice(1)}-slim`, node: '/usr/local/bin/node' };

const hashOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);

/** Reads the program's files (200 KB) and computes the tags; nothing large is read before a context is streamed. */
export async function loadBuiltinImages(options: { cacheDir?: string } = {}): Promise<BuiltinImages> {
  const made = recipe();
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const program = await programEntries(made);
  const node = made.carriesNode ? await nodeIdentity() : made.from;
  const baseImage = `deckhand/base:${hashOf(node, dockerfile(made, []), JSON.stringify(program))}`;
  const contexts = new Map<string, ImageContext>();
  contexts.set(baseImage, { image: baseImage, parent: null, tar: () => baseContext(made, program, cacheDir) });
  const images = new Map<string, string>();
  for (const service of SERVICES) {
    const text = serviceDockerfile(made, baseImage, service);
    const image = `deckhand/${service}:${hashOf(text)}`;
    images.set(service, image);
    contexts.set(image, { image, parent: baseImage, tar: () => tarOf([{ path: 'Dockerfile', text }]) });
  }
  return {
    baseImage,
    serviceImage: (service) => images.get(service),
    context: (image) => contexts.get(image),
  };
}

/** The program under /decoy, and `sleep` for the base container, whose first line names the image's Node. */
async function programEntries(made: Recipe): Promise<readonly (ContextEntry & { readonly text: string })[]> {
  const found = await readdir(PROGRAM, { recursive: true, withFileTypes: true });
  const files = found
    .filter((entry) => entry.isFile())
    .map((entry) => relative(PROGRAM, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
  return Promise.all(
    files.map(async (path) => {
      const text = await readFile(join(PROGRAM, path), 'utf8');
      return path === 'sleep'
        ? { path: 'root/bin/sleep', text: text.replace(/^#!.*/, `#!${made.node}`), mode: 0o755 }
        : { path: `root/decoy/${path}`, text };
    }),
  );
}

/** Libraries are found by LD_LIBRARY_PATH: the image has no loader cache, and their folders differ between distributions. */
function dockerfile(made: Recipe, libraryFolders: readonly string[]): string {
  const environment = ['PATH=/usr/local/bin:/usr/bin:/bin', 'UV_THREADPOOL_SIZE=2'];
  if (libraryFolders.length > 0) environment.push(`LD_LIBRARY_PATH=${libraryFolders.join(':')}`);
  return `FROM ${made.from}\nCOPY root/ /\nENV ${environment.join(' ')}\nCMD ["/bin/sleep", "infinity"]\n`;
}

const serviceDockerfile = (made: Recipe, baseImage: string, service: string): string =>
  `FROM ${baseImage}\nCMD ${JSON.stringify([made.node, ...NODE_FLAGS, '/decoy/main.mjs', service])}\n`;

async function baseContext(
  made: Recipe,
  program: readonly ContextEntry[],
  cacheDir: string,
): Promise<NodeJS.ReadableStream> {
  if (!made.carriesNode) return tarOf([{ path: 'Dockerfile', text: dockerfile(made, []) }, ...program]);
  const [node, libraries] = await Promise.all([strippedNode(cacheDir), linkedLibraries()]);
  const folders = [...new Set(libraries.map((library) => dirname(library.target)))];
  return tarOf([
    { path: 'Dockerfile', text: dockerfile(made, folders) },
    { path: 'root/tmp', directory: true, mode: 0o1777 },
    { path: 'root/etc/passwd', text: 'root:x:0:0:root:/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n' },
    { path: 'root/usr/bin/node', file: node, mode: 0o755 },
    ...libraries.map(({ source, target }) => ({ path: `root${target}`, file: source, mode: 0o755 })),
    ...program,
  ]);
}
