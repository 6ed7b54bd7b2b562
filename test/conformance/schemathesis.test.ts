/** Schemathesis with our own document: no 5xx but the documented 503, and no answer that the document does not have. `npm run test:schemathesis` asks more. */
import assert from 'node:assert/strict';
import { type Front, startFront } from '../schemathesis/front.ts';
import { type Outcome, type RunOptions, runSchemathesis, told } from '../schemathesis/run.ts';
import { createScene, type Scene } from '../schemathesis/scene.ts';
import { schemathesis } from '../schemathesis/venv.ts';

const requests = Number(process.env.DECKHAND_TEST_SCHEMATHESIS ?? 0);
const long = requests > 0;
/** Generated for each operation and account; 0 is the short run of `npm test`. */
const PER_OPERATION = long ? Math.ceil(requests / 90) : 2;
const SEED = long ? Math.floor(Math.random() * 1e6) : 4242;
/** Less of an admin's answers other than 401, and the run asked the door only. */
const LEAST_ACCEPTED = 0.6;
/** Something of the stack may be slow on a busy machine; more of these, and it is not the machine. */
const MOST_UNAVAILABLE = 0.01;

describe('Schemathesis with the OpenAPI document', function () {
  this.timeout(long ? 460_000 : 120_000);
  let command: string;
  let scene: Scene;
  let front: Front;
  let asked = 0;
  let unavailable = 0;

  before(async function () {
    const found = await schemathesis();
    if ('missing' in found) {
      console.log(`      ${found.missing}`);
      this.skip();
    }
    command = found.command;
    scene = await createScene();
    front = await startFront(scene.master.apiUrl);
  });
  after(async () => {
    await front?.close();
    await scene?.close();
    console.log(`      ${asked} requests in all, ${unavailable} times 503, seed ${SEED}`);
  });

  async function run(options: Pick<RunOptions, 'account' | 'filter'> & Partial<RunOptions>): Promise<Outcome> {
    const bounds = {
      perOperation: PER_OPERATION,
      seconds: long ? 450 : 110,
      seed: SEED,
      onItself: false,
    };
    const outcome = await runSchemathesis(command, scene, front, { ...bounds, ...options });
    asked += outcome.requests;
    unavailable += outcome.unavailable;
    const { exit, serverErrors, unanswered } = outcome;
    const faults = { exit, serverErrors, unanswered };
    assert.deepEqual(faults, { exit: 0, serverErrors: 0, unanswered: 0 }, told(outcome));
    assert.ok(outcome.requests > 0, told(outcome));
    assert.ok(outcome.unavailable <= MOST_UNAVAILABLE * outcome.requests, told(outcome));
    return outcome;
  }

  const OWN_ACCOUNT = '^/api/v1/auth/(logout|change-password)$';
  const others = ['--exclude-path-regex', OWN_ACCOUNT];

  // proof: schemathesis
  it('as an administrator', async () => {
    const { accepted, requests: made } = await run({ account: scene.admin, filter: others });
    assert.ok(accepted >= LEAST_ACCEPTED * made, `${accepted} of ${made} answers were other than 401`);
  });
  // proof: schemathesis
  it('as a viewer', async () => {
    await run({ account: scene.viewer, filter: others });
  });
  // proof: schemathesis
  it('as nobody', async () => {
    await run({ account: null, filter: [] });
  });
  // proof: schemathesis
  it('on the routes of one’s own account, which end tokens', async () => {
    const own = [`--include-path-regex`, `${OWN_ACCOUNT}|/reset-password$`];
    await run({ account: scene.restless, onItself: true, filter: own });
  });

  it('with as many requests as were asked for', () => assert.ok(asked >= requests, `${asked} of ${requests}`));
});
