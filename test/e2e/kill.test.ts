/** One seeded kill of each kind; `npm run test:drill` does many, at other moments. */
import assert from 'node:assert/strict';
import { DrillStack } from '../drills/drill-stack.ts';
import { measureDeploy, runRound } from '../drills/round.ts';
import { testDirectory } from '../support/stack/stack.ts';

/** With it a worker dies while containers start, and the silent bus answers again, so that a subscriber must see all. */
const SEED = 'npm test 3';
const TITLES = {
  // proof: killed-processes
  worker: 'the worker, and another goes on (gaps A1, A2)',
  // proof: killed-processes
  api: 'the API, and an answer that was lost is asked for again',
  // proof: killed-processes
  both: 'the worker and the API',
  // proof: killed-processes
  nats: 'the bus, which is silent throughout and delays nobody',
} as const;

describe('a deploy of eight deckies keeps its promises when it loses', () => {
  let stack: DrillStack | null = null;
  let lengthMs = 0;
  before(async function () {
    this.timeout(240_000);
    await DrillStack.start(testDirectory('kill'), (spawned) => {
      stack = spawned;
    });
    lengthMs = await measureDeploy(present(stack));
  });
  after(async function () {
    this.timeout(120_000);
    assert.deepEqual((await stack?.stop()) ?? [], []);
  });

  for (const kind of ['worker', 'api', 'both', 'nats'] as const)
    it(TITLES[kind], async () => {
      const { problems, momentMs, told } = await runRound(present(stack), { seed: SEED, round: 1, kind }, lengthMs);
      assert.deepEqual(problems, [], `seed ${SEED}, at ${momentMs} of ${lengthMs} ms: ${told}`);
    });
});

function present(stack: DrillStack | null): DrillStack {
  assert.ok(stack, 'the stack is not up');
  return stack;
}
