/** The recorded histories of test/replay/: compressed, since Temporal's JSON says everything many times. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';

const FOLDER = fileURLToPath(new URL('../../replay/histories/', import.meta.url));
const ENDING = '.json.gz';

/** What the tests look at; Temporal's own JSON form has much more. */
export interface History {
  readonly events: readonly {
    readonly eventType: string;
    readonly workflowExecutionStartedEventAttributes?: { readonly workflowType: { readonly name: string } };
  }[];
}

/** `<release>/<scenario>/<workflow>`. */
export const historyNames = (): string[] =>
  readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ENDING))
    .map((name) => name.slice(0, -ENDING.length))
    .sort();

export const readHistory = (name: string): History =>
  JSON.parse(gunzipSync(readFileSync(join(FOLDER, `${name}${ENDING}`))).toString('utf8'));

export function writeHistory(name: string, json: string): void {
  const path = join(FOLDER, `${name}${ENDING}`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, gzipSync(json, { level: 9 }));
}
