import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';
import { quietRuntime } from '../support/quiet-runtime.ts';

const FOLDER = fileURLToPath(new URL('./histories/', import.meta.url));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .sort();
const SCENARIOS = [
  'all-well',
  'one-fails',
  'rejected-by-conflict',
  'worker-killed',
  'swarm-all-well',
  'swarm-host-lost',
  'swarm-lost-report',
  'mutate-all-well',
  'mutate-fails',
  'mutate-on-host',
  'revision-1',
  'revision-2',
  'move',
];

describe('replay of recorded histories', () => {
  let bundle: { codePath: string };
  before(async () => {
    quietRuntime();
    bundle = await workflowBundle(join(process.env.DECKHAND_TEST_TMP ?? tmpdir(), 'deckhand-bundles'));
  });

  for (const scenario of SCENARIOS)
    it(`has a history of the scenario ${scenario}`, () =>
      assert.ok(
        files.some((name) => name.includes(`/${scenario}/`)),
        files.join(', '),
      ));

  for (const name of files)
    it(`${name} replays`, async () => {
      const history: unknown = JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
      await Worker.runReplayHistory({ workflowBundle: bundle }, history);
    });
});
