import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { workflowBundle } from '../../worker/bundle.ts';
import * as workflows from '../../workflows/index.ts';
import { historyNames, readHistory } from '../support/temporal/histories.ts';
import { textsOf } from '../support/temporal/nameless-history.ts';
import { quietRuntime } from '../support/temporal/quiet-runtime.ts';

const names = historyNames();
/** Folders in which people and build machines keep checkouts, and what a worker of theirs is called. */
const OF_A_MACHINE = /(?<![\w.)])\/(?:home|root|tmp|work|Users|private|builds?)\/|(?<!worker)\/deckhand\/\d+/;

describe('replay of recorded histories', () => {
  let bundle: { codePath: string };
  before(async () => {
    quietRuntime();
    bundle = await workflowBundle(join(process.env.DECKHAND_TEST_TMP ?? tmpdir(), 'deckhand-bundles'));
  });

  const firstOf = (name: string) => readHistory(name).events[0]?.workflowExecutionStartedEventAttributes;
  const recorded = new Set(names.map((name) => firstOf(name)?.workflowType.name));
  for (const type of Object.keys(workflows))
    it(`has a history of the workflow ${type}`, () => assert.ok(recorded.has(type), names.join(', ')));

  const ends = new Set(names.map((name) => readHistory(name).events.at(-1)?.eventType));
  for (const end of ['COMPLETED', 'CANCELED', 'CONTINUED_AS_NEW'])
    it(`has a history that ends as ${end}`, () =>
      assert.ok(ends.has(`EVENT_TYPE_WORKFLOW_EXECUTION_${end}`), [...ends].join(', ')));

  for (const name of names) {
    it(`${name} replays`, async () => {
      await Worker.runReplayHistory({ workflowBundle: bundle }, readHistory(name));
    });

    it(`${name} names nothing of the machine that recorded it`, () => {
      assert.deepEqual(
        textsOf(readHistory(name)).filter((text) => OF_A_MACHINE.test(text)),
        [],
      );
    });
  }
});
