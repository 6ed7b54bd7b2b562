import assert from 'node:assert/strict';
import { isLeftBehind } from '../../adapters/docker/left-behind.ts';

describe('what the engine left behind', () => {
  it('is known by the engine’s words, of old engines and new ones', () => {
    for (const error of [
      'cannot join network of a non running container: b29be691caf4',
      'cannot join network namespace of a non running container: container web-01 is exited',
    ])
      assert.ok(isLeftBehind({ state: 'exited', error }), error);
  });

  it('is nothing that ended by itself, does not start for another reason, or runs by now', () => {
    assert.equal(isLeftBehind({ state: 'exited', error: '' }), false);
    assert.equal(isLeftBehind({ state: 'exited', error: 'exec: "sshd": executable file not found in $PATH' }), false);
    assert.equal(isLeftBehind({ state: 'running', error: 'cannot join network of a non running container: x' }), false);
  });
});
