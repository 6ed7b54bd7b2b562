import assert from 'node:assert/strict';
import { parseRequest } from '../support/stack/stack-runner.ts';
import { addTotals, failureLines, NOTHING, oneFailure, totalsLine } from '../support/stack/stack-totals.ts';
import { togetherOf } from '../support/stack/test-packages.ts';

const rooms = (...args: string[]) => parseRequest(args).rooms.map(({ room }) => room.name);

// proof: test-time
describe('node test/run.mjs', () => {
  it('runs checks and all rooms when nothing is named', () => {
    const request = parseRequest([]);
    assert.equal(request.everything, true);
    assert.ok(request.rooms.some(({ room }) => room.name === 'unit'));
  });

  it('runs the named rooms, in its own order, without checks', () => {
    assert.deepEqual(rooms('e2e', 'unit'), ['unit', 'e2e']);
    assert.equal(parseRequest(['unit']).everything, false);
  });

  it('runs single files in their rooms', () => {
    const { rooms: found } = parseRequest(['/x/test/unit/stack-runner.test.ts', 'test/e2e/kill.test.ts']);
    assert.deepEqual(
      found.map(({ room, files }) => [room.name, files]),
      [
        ['unit', ['test/unit/stack-runner.test.ts']],
        ['e2e', ['test/e2e/kill.test.ts']],
      ],
    );
  });

  it('runs a room that leaves a processor idle together with the next, and the first of several alone', () => {
    const together = (...args: string[]) =>
      togetherOf(parseRequest(args).rooms).map((runs) => runs.map(({ room }) => room.name).join(' and '));
    assert.deepEqual(together(), ['unit', 'workflow and conformance', 'integration and replay', 'e2e']);
    assert.deepEqual(together('conformance', 'e2e'), ['conformance', 'e2e']);
  });

  it('hands options on to mocha', () => {
    assert.deepEqual(parseRequest(['unit', '--grep', 'all rooms']).mocha, ['--grep', 'all rooms']);
  });

  it('refuses a room that does not exist', () => {
    assert.throws(() => parseRequest(['units']), /no room "units"/);
  });

  it('refuses a file that no room has, since it would run nothing and pass', () => {
    assert.throws(() => parseRequest(['test/unit/nowhere.test.ts']), /no test\/unit\/nowhere\.test\.ts in a room/);
    assert.throws(() => parseRequest(['test/support/until.test.ts']), /in a room/);
  });

  it('records histories only when that is asked for', () => {
    assert.ok(!rooms().includes('recording'));
    assert.deepEqual(rooms('recording'), ['recording']);
  });

  it('sums, and names skipped tests only where there are some', () => {
    const sum = addTotals([
      { ...NOTHING, passed: 2 },
      { ...oneFailure('a deploy ends', 'Error: it did not'), passed: 1 },
    ]);
    assert.equal(totalsLine(sum), '3 passed, 1 failed');
    assert.equal(totalsLine({ ...sum, skipped: 2 }), '3 passed, 1 failed, 2 skipped');
  });

  it('tells all failures of all rooms at its end', () => {
    const sum = addTotals([
      oneFailure('unit a', 'Error: one\n    at b'),
      NOTHING,
      oneFailure('e2e b', 'took too long'),
    ]);
    assert.equal(failureLines(sum), 'failed: unit a\n  Error: one\n      at b\n\nfailed: e2e b\n  took too long\n');
  });
});
