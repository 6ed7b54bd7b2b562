import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROOMS = [
  'activities',
  'adapters',
  'agent',
  'api',
  'cli',
  'decoys',
  'engine',
  'fleet',
  'lib',
  'operations',
  'stack',
  'worker',
  'workflows',
  'test/conformance',
  'test/support',
  'test/wizard',
];
/** Names of this shape that are no variables of ours: the event stream, and what DECNET's own agent reads. */
const NOT_VARIABLES = new Set([
  'DECKHAND_EVENTS',
  'DECNET_MODE',
  'DECNET_AGENT_DIR',
  'DECNET_HOST_UUID',
  'DECNET_MASTER_HOST',
  'DECNET_SWARMCTL_PORT',
]);
const NAME =
  /\bDECKHAND_[A-Z][A-Z_]*[A-Z]\b|\bDECNET_[A-Z_]+\b|\b(?:DATABASE|NATS)_URL\b|\bDOCKER_HOST\b|\bTEMPORAL_(?:ADDRESS|NAMESPACE)\b/g;

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.(ts|mjs)$/.test(entry.name) ? [path] : [];
  });
}

const namesIn = (text: string): string[] => (text.match(NAME) ?? []).filter((name) => !NOT_VARIABLES.has(name));

/** Documented variables: those of the first column, whatever the text beside them mentions. */
function documented(page: string): Set<string> {
  return new Set(page.split('\n').flatMap((line) => (line.startsWith('| `') ? namesIn(line.split('|')[1] ?? '') : [])));
}

describe('the page of environment variables', () => {
  const page = documented(readFileSync(join(ROOT, 'docs/environment.md'), 'utf8'));
  const files = ROOMS.flatMap(sources).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

  it('has every variable that the code reads', () => {
    for (const { path, text } of files)
      for (const name of namesIn(text))
        assert.ok(page.has(name), `${name} (${path}) is missing in docs/environment.md`);
  });

  it('has none that the code does not read', () => {
    const read = new Set(files.flatMap(({ text }) => namesIn(text)));
    for (const name of page) assert.ok(read.has(name), `${name} of docs/environment.md is read nowhere`);
  });
});
