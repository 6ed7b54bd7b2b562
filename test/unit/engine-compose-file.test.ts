import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { composeFilePath, composeFileText, writeComposeFile } from '../../engine/compose-file.ts';
import type { ComposeDocument } from '../../fleet/compose.ts';

const SCOPE = { instance: 'i1', project: 'decnet' };
const documentWith = (environment: Record<string, string>): ComposeDocument => ({
  version: '3.8',
  services: {
    web1: { container_name: 'web1', networks: { decnet_lan: { ipv4_address: '10.0.0.5' } } },
    'web1-http': { container_name: 'web1-http', network_mode: 'service:web1', labels: { a: 'b' }, environment },
  },
  networks: { decnet_lan: { external: true } },
});
const text = (environment: Record<string, string> = {}): string => composeFileText(documentWith(environment), SCOPE);

describe('the compose file', () => {
  it('is the document, with our labels on every service', () => {
    const read = parse(text({ A: 'b' })) as ComposeDocument;
    const own = { 'deckhand.instance': 'i1', 'deckhand.project': 'decnet', 'deckhand.decky': 'web1' };
    const expected = documentWith({ A: 'b' });
    assert.deepEqual(read.networks, expected.networks);
    assert.deepEqual(read.services.web1, { ...expected.services.web1, labels: own });
    assert.deepEqual(read.services['web1-http'], { ...expected.services['web1-http'], labels: { a: 'b', ...own } });
  });

  it('doubles the dollar, which Compose would take for a variable', () => {
    assert.match(text({ PASSWORD: 'a$b$$c' }), /PASSWORD: "a\$\$b\$\$\$\$c"/);
  });

  it('quotes what other readers of YAML take for something else', () => {
    for (const value of ['yes', 'on', '0777', '1_000', '2024-01-01', 'null', '~', '1e3', '0x10'])
      assert.match(text({ VALUE: value }), new RegExp(`VALUE: "${value}"`));
    assert.match(text({ '2024-01-01': 'x', 9: 'y' }), /"2024-01-01": "x"/);
  });

  it('escapes what Compose refuses raw', () => {
    assert.match(text({ VALUE: 'a\u007fb\u2028c\u0085' }), /VALUE: "a\\u007fb\\u2028c\\u0085"/);
  });
});

describe('writing the compose file', () => {
  let directory = '';
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'deckhand-compose-file-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  it('makes its folder, leaves one file, readable by its owner only', async () => {
    const path = composeFilePath(join(directory, 'compose'), SCOPE);
    await writeComposeFile(path, 'one');
    await writeComposeFile(path, 'two');
    assert.equal(await readFile(path, 'utf8'), 'two');
    assert.deepEqual(await readdir(join(directory, 'compose')), ['decnet.yml']);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });
});
