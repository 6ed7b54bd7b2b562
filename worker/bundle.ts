/** The workflow bundle, made ahead and kept by content, so that a worker that was killed is back in a second. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ENTRY = join(ROOT, 'workflows', 'index.ts');

/** What the bundle is made of: workflow code, fleet/, and the SDK that bundles it. */
async function digestOfSources(interceptorModules: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  hash.update(version);
  for (const module of interceptorModules) hash.update(await readFile(module));
  for (const folder of ['fleet', 'workflows']) {
    const names = (await readdir(join(ROOT, folder), { recursive: true }))
      .filter((name) => /\.(ts|json)$/.test(name))
      .sort();
    for (const name of names) hash.update(name).update(await readFile(join(ROOT, folder, name)));
  }
  return hash.digest('hex').slice(0, 24);
}

/** Returns the path of the bundle; makes it (about four seconds on two cores) where these sources have none yet. */
export async function workflowBundle(
  cacheDir: string,
  interceptorModules: readonly string[] = [],
): Promise<{ codePath: string }> {
  const codePath = join(cacheDir, `workflows-${await digestOfSources(interceptorModules)}.js`);
  const known = await readFile(codePath).catch(() => null);
  if (known) return { codePath };
  const { code } = await bundleWorkflowCode({
    workflowsPath: ENTRY,
    workflowInterceptorModules: [...interceptorModules],
    logger: new DefaultLogger('WARN'),
  });
  await mkdir(cacheDir, { recursive: true });
  const temporary = `${codePath}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, codePath);
  return { codePath };
}
