/** The resolved compose document on disk, for an operator to take over with `docker compose -p <project> -f <file>`. */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Document, Scalar, visit } from 'yaml';
import type { ComposeDocument } from '../fleet/compose.ts';
import { withOwnLabels } from './docker/create-options.ts';
import { isDiskFull, toDeckhandError } from './docker/transport.ts';
import type { EngineScope } from './engine.ts';

export const composeFilePath = (composeDir: string, scope: EngineScope): string =>
  resolve(join(composeDir, `${scope.project}.yml`));

/** Compose reads YAML 1.1 in places ("on", 0777, 2024-01-01): all strings but plain names are quoted. */
const PLAIN_KEY = /^[A-Za-z_][\w.-]*$/;

/** Compose's parser refuses these raw, or takes them for line breaks; all strings that can hold them are in double quotes, where an escape says the same. */
const NEVER_RAW = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;
const escapeRaw = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Text of the file. A `$` is doubled, since Compose would take it for a variable. */
export function composeFileText(document: ComposeDocument, scope: EngineScope): string {
  const services = Object.fromEntries(
    Object.entries(document.services).map(([key, service]) => [key, withOwnLabels(key, service, scope)]),
  );
  const yaml = new Document({ ...document, services });
  visit(yaml, {
    Scalar(position, node) {
      if (typeof node.value !== 'string') return;
      const plain = position === 'key' && PLAIN_KEY.test(node.value);
      node.type = plain ? Scalar.PLAIN : Scalar.QUOTE_DOUBLE;
      if (position !== 'key') node.value = node.value.replaceAll('$', '$$$$');
    },
  });
  return yaml.toString({ lineWidth: 0 }).replace(NEVER_RAW, escapeRaw);
}

/** Written aside and renamed, so that a reader sees the old or the new; readable by its owner only: it carries passwords. */
export async function writeComposeFile(path: string, text: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await writeFile(aside, text, { mode: 0o600 });
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw isDiskFull(String(error)) ? toDeckhandError(error, `writing of ${path}`) : error;
  }
}
