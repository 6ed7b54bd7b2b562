/** The recordings of DECNET 1.0.0's composer. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { composeDocument } from '../../fleet/compose.ts';
import type { DeckyConfig } from '../../fleet/config.ts';

const FOLDER = new URL('../fixtures/golden/', import.meta.url);
const FILES = readdirSync(FOLDER).filter((file) => file.startsWith('compose-'));

describe('golden compose documents', () => {
  it('are there', () => assert.ok(FILES.length >= 4));

  for (const file of FILES) {
    it(`${file} is composed as recorded`, () => {
      const { config, compose } = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as {
        config: { deckies: DeckyConfig[] };
        compose: unknown;
      };
      const document = composeDocument(
        config.deckies.map((decky) => ({ config: decky, custom_services: [] })),
        {
          networkName: 'decnet_lan',
          templatesRoot: '<templates>',
          artifactsRoot: '/var/lib/decnet/artifacts',
        },
      );
      assert.deepEqual(document, compose);
      assert.deepEqual(Object.keys(document.services), Object.keys((compose as typeof document).services));
    });
  }
});
