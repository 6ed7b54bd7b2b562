/** The matrix of what a look may find: state × restart policy × exit code × the engine's words × when the base was started. */
import assert from 'node:assert/strict';
import { judgeOne } from '../../engine/docker/health.ts';
import { fateOf, type Inspection, isLeftBehind } from '../../engine/docker/observe.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const LEFT = [
  'cannot join network of a non running container: b29be691caf4',
  'cannot join network namespace of a non running container: container web-01 is exited',
];

const inspection = (change: Partial<Inspection> = {}): Inspection => ({
  id: 'id',
  name: 'web1-ssh',
  state: 'running',
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: NOW - 10_000,
  restarts: 0,
  policy: 'unless-stopped',
  ...change,
});
const base = inspection({ id: 'base', name: 'web1', startedAt: NOW - 20_000 });

const POLICIES = ['no', 'on-failure', 'unless-stopped', 'always'];
const CODES = [0, 1, 17, 127, 128, 137, 143];
const ERRORS = ['', 'exec: "sshd": executable file not found in $PATH', ...LEFT];
/** Every container that a look may find in this state. */
const each = (state: string): Inspection[] =>
  POLICIES.flatMap((policy) =>
    CODES.flatMap((exitCode) => ERRORS.map((error) => inspection({ state, policy, exitCode, error }))),
  );
const statusOf = (container: Inspection | null, itsBase: Inspection | null = base, ageMs = 10_000): string =>
  judgeOne({ name: 'web1-ssh', container, base: itsBase, ageMs }, 3_000).status;

describe('the fate of a container', () => {
  // proof: field-3.2-3
  it('is “startable” of every exited one that its policy keeps up, whatever its exit code', () => {
    for (const container of each('exited')) {
      const isKeptUp = ['always', 'unless-stopped'].includes(container.policy);
      const expected = isKeptUp || LEFT.includes(container.error) ? 'startable' : 'ended';
      assert.equal(fateOf(container, base), expected, JSON.stringify(container));
      assert.equal(statusOf(container), expected === 'startable' ? 'stopped' : 'failed');
    }
  });

  it('is “startable” of every one that was never started, or whose removal was broken off', () => {
    for (const state of ['created', 'removing', 'dead'])
      for (const container of each(state)) assert.equal(statusOf(container), 'stopped', JSON.stringify(container));
  });

  // proof: field-3.2-3
  it('is “cut off” exactly where both run and the base was started later', () => {
    for (const state of ['running', 'exited', 'restarting', 'paused', 'created'])
      for (const later of [-1, 0, 1]) {
        const service = inspection();
        const itsBase = { ...base, state, startedAt: service.startedAt + later };
        const isCutOff = state === 'running' && later > 0;
        assert.equal(fateOf(service, itsBase), isCutOff ? 'cut off' : 'running', `${state} ${later}`);
        assert.equal(statusOf(service, itsBase), isCutOff ? 'stopped' : 'healthy');
      }
    assert.equal(fateOf(inspection(), null), 'running');
  });

  // proof: field-3.14-4
  it('is “paused” of a paused one, which is told as that, with the way out', () => {
    for (const container of each('paused')) {
      assert.equal(fateOf(container, base), 'paused');
      const judgement = judgeOne({ name: 'web1-ssh', container, base, ageMs: 0 }, 3_000);
      const sentence = judgement.status === 'failed' ? judgement.sentence : '';
      assert.match(sentence, /^container web1-ssh is paused; `docker unpause web1-ssh`/);
      assert.doesNotMatch(sentence, /exit/);
    }
  });

  it('is “missing” where there is none', () => {
    assert.equal(fateOf(null, base), 'missing');
    assert.equal(statusOf(null), 'failed');
  });
});

describe('what the engine left behind', () => {
  it('is known by the engine’s words, of old engines and new ones', () => {
    for (const error of LEFT) assert.ok(isLeftBehind({ state: 'exited', error }), error);
  });

  it('is nothing that ended by itself, does not start for another reason, or runs by now', () => {
    assert.equal(isLeftBehind({ state: 'exited', error: '' }), false);
    assert.equal(isLeftBehind({ state: 'exited', error: 'exec: "sshd": executable file not found in $PATH' }), false);
    assert.equal(isLeftBehind({ state: 'running', error: 'cannot join network of a non running container: x' }), false);
  });
});
