import assert from 'node:assert/strict';
import { cleanUp, hasLeft } from '../../agent/clean-up.ts';
import { emptyState, recordOf } from '../../agent/state.ts';
import { wayBack } from '../../agent/way-back.ts';
import type { Workbench } from '../../agent/workbench.ts';
import type { ComposeEngine, Health } from '../../engine/engine.ts';
import type { DesiredDecky, FleetNetwork } from '../../fleet/config.ts';
import { DeckhandError } from '../../fleet/errors.ts';

const network = {} as FleetNetwork;
const established = { config: { name: 'web' }, custom_services: [] } as unknown as DesiredDecky;
const { signal } = new AbortController();
const terms = { signal, cut: signal, onStep: () => {} };

const runs = (seconds: number): Health => ({ status: 'waiting', sentence: `it has run ${seconds} s`, remainingMs: 1 });
const exited: Health = { status: 'failed', sentence: 'container web-ssh is exited, exit code 1. Last lines:\nlog' };
const healthy: Health = { status: 'healthy' };

interface Engine {
  /** One after the other; the last one stays. */
  readonly looks?: readonly Health[];
  readonly differences?: readonly string[];
  readonly there?: readonly string[];
  readonly down?: () => Promise<never>;
}

function bench({ looks = [healthy], differences = [], there = [], down }: Engine): Workbench {
  let at = 0;
  const engine: Partial<ComposeEngine> = {
    up: async () => ({ unchanged: false, steps: [] }),
    // A look without a time is no look: whatever was started runs at that moment.
    health: async (_, minHealthyMs) =>
      minHealthyMs === 0 ? healthy : (looks[Math.min(at++, looks.length - 1)] ?? healthy),
    observe: async () => [
      { decky: 'web', asSpecified: differences.length === 0, differences, drift: [], containers: [] },
    ],
    down: down ?? (async () => []),
    deckies: async () => there,
  };
  const state = emptyState();
  return {
    local: { engine, resolve: () => ({ document: {}, deckies: [{ decky: 'web', keys: [], services: {} }] }) },
    store: { state, record: async (apply: (given: typeof state) => unknown) => apply(state) },
    logger: { warn: () => {}, info: () => {} },
  } as unknown as Workbench;
}

describe('the way back after a failure', () => {
  const CASES: readonly (readonly [what: string, engine: Engine, sentence: RegExp, seen: string])[] = [
    ['that stays up is back', { looks: [runs(0.5), healthy] }, /^the last good version is back$/, 'running'],
    [
      'that exits a second later is not back',
      { looks: [runs(0.5), runs(1), exited] },
      /^the last good version was started, and does not run: container web-ssh is exited, exit code 1\. Last lines:$/,
      'degraded',
    ],
    [
      'whose services are cut off is not back',
      { differences: ['web-ssh is not in the network of its base'] },
      /^the last good version was started, and is not as it was: web-ssh is not in the network/,
      'degraded',
    ],
  ];
  // proof: field-3.4-1
  for (const [what, engine, sentence, seen] of CASES)
    it(`says that a version ${what}`, async () => {
      const told = await wayBack(bench(engine), { name: 'web', network, established }, terms);
      assert.match(told.sentence, sentence);
      assert.equal(told.seen, seen);
    });

  // proof: field-3.4-1
  it('says that what was started was removed only where nothing is left', async () => {
    const removal = { name: 'web', network, established: null };
    const gone = await wayBack(bench({ there: ['other'] }), removal, terms);
    assert.deepEqual([gone.sentence, gone.seen], ['what had been started was removed', 'failed']);
    const left = await wayBack(bench({ there: ['web'] }), removal, terms);
    assert.deepEqual([left.sentence, left.seen, left.isDone], ['a container of it is still there', 'degraded', false]);
  });

  // proof: field-3.14-1
  it('that did not work is done later, once the disk has room', async () => {
    let isFull = true;
    const full = async (): Promise<never> => {
      if (isFull) throw new DeckhandError('EngineRefused', 'no space left on device');
      return [] as never;
    };
    const one = bench({ down: full });
    const record = recordOf(one.store.state, 'web');
    const told = await wayBack(one, { name: 'web', network, established: null }, terms);
    assert.equal(told.isDone, false);
    record.cleanUp = true;
    await cleanUp(one, signal);
    assert.ok(hasLeft(one.store.state));
    isFull = false;
    await cleanUp(one, signal);
    assert.ok(!hasLeft(one.store.state));
  });
});
