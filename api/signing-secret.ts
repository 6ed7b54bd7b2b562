/** The secret that signs access tokens: given, or made up at the first start and kept, so that tokens outlive a restart. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const Secrets = z.object({ jwt_secret: z.string().min(32) });

async function readSecret(file: string): Promise<string | null> {
  try {
    return Secrets.parse(JSON.parse(await readFile(file, 'utf8'))).jwt_secret;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Error(
      `${file} can’t be read as {"jwt_secret": 32 or more characters}. Mend it, or remove it for a new secret.`,
      {
        cause: error,
      },
    );
  }
}

/** From `<home>/api-secrets.json` (mode 0600). Of two programs that start at once, one makes it and both use it. */
export async function keptSecret(home: string): Promise<string> {
  const file = join(home, 'api-secrets.json');
  const kept = await readSecret(file);
  if (kept !== null) return kept;
  await mkdir(home, { recursive: true });
  const draft = `${file}.${process.pid}`;
  const secret = randomBytes(48).toString('base64url');
  await writeFile(draft, `${JSON.stringify({ jwt_secret: secret })}\n`, { mode: 0o600 });
  // A link appears whole or not at all, and fails where another program was faster.
  await link(draft, file).catch(() => undefined);
  await rm(draft, { force: true });
  return (await readSecret(file)) ?? secret;
}
