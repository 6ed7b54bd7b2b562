import assert from 'node:assert/strict';
import type { AgentContext } from '../../agent/context.ts';
import { cleanUpLater, hasCleanUps } from '../../agent/decky-work.ts';
import { emptyState, recordOf } from '../../agent/state.ts';
import { DeckhandError } from '../../fleet/errors.ts';

describe('a clean-up that did not work', () => {
  // proof: field-3.14-1
  it('is done later, once the disk has room', async () => {
    let isFull = true;
    const engine = {
      down: async () => {
        if (isFull) throw new DeckhandError('EngineRefused', 'no space left on device');
        return [];
      },
      deckies: async () => [],
    };
    const state = emptyState();
    const context = {
      local: { engine },
      store: { state, record: async (apply: (given: typeof state) => unknown) => apply(state) },
      logger: { warn: () => {}, info: () => {} },
    } as unknown as AgentContext;
    const { signal } = new AbortController();
    recordOf(state, 'web').cleanUp = true;
    await cleanUpLater(context, signal);
    assert.ok(hasCleanUps(state));
    isFull = false;
    await cleanUpLater(context, signal);
    assert.ok(!hasCleanUps(state));
  });
});
