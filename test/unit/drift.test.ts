import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { DeckyConfig } from '../../fleet/config.ts';
import {
  type Comparison,
  compare,
  DRIFT,
  type EngineObservation,
  judgeReturned,
  mendPauseMs,
  type WantedDecky,
} from '../../fleet/drift.ts';
import { engineObservation, readHostObservation } from '../../fleet/host-observation.ts';

const CONFIG = { services: ['http', 'ssh'], service_config: { http: { a: 1, b: 2 } }, ip: '10.0.0.5' };
const config = (change: object = {}): DeckyConfig => ({ ...CONFIG, ...change }) as unknown as DeckyConfig;
const wanted = (name: string, change: Partial<WantedDecky> = {}): WantedDecky => ({
  name,
  stopped: false,
  settled: true,
  config: config(),
  ...change,
});
type Answered = Extract<EngineObservation, { answered: true }>;
type Seen = Answered['deckies'] extends ReadonlyMap<string, infer T> ? T : never;
const seen = (change: Partial<Seen> = {}): Seen => ({ differences: [], config: null, busy: false, ...change });
const sight = (deckies: Record<string, Seen>, change: Partial<Answered> = {}): Answered => ({
  answered: true,
  deckies: new Map(Object.entries(deckies)),
  orphans: [],
  complete: true,
  ...change,
});
const brief = (comparison: Comparison): string[] =>
  comparison.known ? comparison.drift.map(({ decky, reason }) => `${decky} ${reason}`) : ['unknown'];

describe('drift', () => {
  it('is none where all is as it should be', () => {
    assert.deepEqual(brief(compare([wanted('a'), wanted('b')], sight({ a: seen(), b: seen() }))), []);
  });

  it('names the reason of every difference, and the containers, once a decky and reason', () => {
    const differences = [
      { reason: 'missing', container: 'a-http', detail: 'it is missing' },
      { reason: 'missing', container: 'a-ssh', detail: 'it is missing' },
      { reason: 'moved_address', container: 'a', detail: 'its address is 10.0.0.9' },
    ] as const;
    const found = compare([wanted('a')], sight({ a: seen({ differences }) }));
    assert.deepEqual(found, {
      known: true,
      drift: [
        { decky: 'a', reason: 'missing', detail: 'a-http: it is missing; a-ssh: it is missing' },
        { decky: 'a', reason: 'moved_address', detail: 'a: its address is 10.0.0.9' },
      ],
    });
  });

  it('is unknown, and never gone, where nobody answered', () => {
    assert.deepEqual(compare([wanted('a')], { answered: false, why: 'the engine is away' }), {
      known: false,
      why: 'the engine is away',
    });
  });

  it('is `missing` where a decky is not named, unless it may be there all the same', () => {
    assert.deepEqual(brief(compare([wanted('a')], sight({}))), ['a missing']);
    assert.deepEqual(brief(compare([wanted('a')], sight({}, { complete: false }))), []);
  });

  it('is `orphan` for what nobody wants, and not for what somebody does', () => {
    const found = compare([wanted('a', { settled: false })], sight({}, { orphans: ['a', 'b', 'b'] }));
    assert.deepEqual(brief(found), ['b orphan']);
  });

  it('says nothing of a decky that something is under way for, here or there', () => {
    const differences = [{ reason: 'exited', container: 'a', detail: 'it is exited' }] as const;
    assert.deepEqual(brief(compare([wanted('a', { settled: false })], sight({ a: seen({ differences }) }))), []);
    assert.deepEqual(brief(compare([wanted('a')], sight({ a: seen({ differences, busy: true }) }))), []);
  });

  it('takes a stopped decky that is not there for as good as stopped', () => {
    assert.deepEqual(brief(compare([wanted('a', { stopped: true })], sight({}))), []);
  });

  it('is `other_configuration` where its host has another version, whatever its address and the order of keys', () => {
    const there = (change: object) => brief(compare([wanted('a')], sight({ a: seen({ config: config(change) }) })));
    assert.deepEqual(there({ ip: '192.0.2.1', service_config: { http: { b: 2, a: 1 } } }), []);
    assert.deepEqual(there({ services: ['http'] }), ['a other_configuration']);
    assert.deepEqual(there({ service_config: { http: { a: 2, b: 2 } } }), ['a other_configuration']);
  });

  it('never names a decky that is not wanted under another reason than `orphan`, nor a wanted one as `orphan`', () => {
    const names = ['a', 'b', 'c'];
    // Every subset of wanted, seen and orphaned names.
    for (let bits = 0; bits < 512; bits += 1) {
      const some = (at: number) => names.filter((_, index) => bits & (1 << (at * 3 + index)));
      const deckies = Object.fromEntries(some(1).map((name) => [name, seen()]));
      const found = compare(
        some(0).map((name) => wanted(name)),
        sight(deckies, { orphans: some(2) }),
      );
      assert.ok(found.known);
      for (const { decky, reason } of found.drift) assert.equal(some(0).includes(decky), reason !== 'orphan');
      assert.equal(new Set(brief(found)).size, found.drift.length);
    }
  });
});

const NAMES = ['a', 'b', 'c', 'd'];
const aDecky = fc.record({
  differences: fc.array(
    fc.record({
      reason: fc.constantFrom(...Object.values(DRIFT)),
      container: fc.constantFrom('x', 'y'),
      detail: fc.constant('it is so'),
    }),
    { maxLength: 5 },
  ),
  config: fc.constantFrom(null, config(), config({ hostname: 'other' })),
  busy: fc.boolean(),
});
const anEngine = fc.record({
  answered: fc.constant(true as const),
  deckies: fc.array(fc.tuple(fc.constantFrom(...NAMES), aDecky)).map((entries) => new Map(entries)),
  orphans: fc.subarray(NAMES),
  complete: fc.boolean(),
});
const aFleet = fc
  .subarray(NAMES)
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({ stopped: fc.boolean(), settled: fc.boolean() }).map((change) => wanted(name, change)),
      ),
    ),
  );

describe('drift, whatever is wanted and observed', () => {
  const holds = (judge: (fleet: WantedDecky[], engine: Answered) => void) =>
    fc.assert(
      fc.property(aFleet, anEngine, (fleet, engine) => judge([...fleet], engine)),
      { numRuns: 300 },
    );
  const driftOf = (fleet: readonly WantedDecky[], engine: Answered) => {
    const found = compare(fleet, engine);
    assert.ok(found.known);
    return found.drift;
  };

  it('names a decky and a reason once', () => {
    void holds((fleet, engine) => {
      const found = driftOf(fleet, engine).map(({ decky, reason }) => `${decky} ${reason}`);
      assert.equal(new Set(found).size, found.length);
    });
  });

  it('is the same in whatever order the deckies come', () => {
    void holds((fleet, engine) => {
      const turned = { ...engine, orphans: engine.orphans.toReversed() };
      const byName = (one: { decky: string; reason: string }, other: { decky: string; reason: string }) =>
        `${one.decky} ${one.reason}` < `${other.decky} ${other.reason}` ? -1 : 1;
      assert.deepEqual(driftOf(fleet.toReversed(), turned).toSorted(byName), driftOf(fleet, engine).toSorted(byName));
    });
  });

  it('is never said of a decky that an operation is open for, here or on its host', () => {
    void holds((fleet, engine) => {
      for (const { decky } of driftOf(fleet, engine)) {
        const one = fleet.find(({ name }) => name === decky);
        assert.ok(!one || (one.settled && !engine.deckies.get(decky)?.busy));
      }
    });
  });

  it('takes a decky that was not observed for missing only where all was observed', () => {
    void holds((fleet, engine) => {
      const there = driftOf(fleet, { ...engine, complete: false }).filter(({ decky }) => !engine.deckies.has(decky));
      assert.ok(there.every(({ reason }) => reason === 'orphan'));
    });
  });

  it('of a host that is back puts each decky in one list at most', () => {
    void holds((fleet, engine) => {
      const deckies = NAMES.map((name, at) => ({ name, established: at % 2 === 0 }));
      const { asTheyShould, differ } = judgeReturned(deckies, engine, compare(fleet, engine));
      assert.ok(asTheyShould.every((name) => !differ.includes(name)));
      // An order carries the whole host: while it works on one, none of the others is reconciled.
      if (NAMES.some((name) => engine.deckies.get(name)?.busy)) assert.deepEqual([...asTheyShould, ...differ], []);
      const away = { answered: false as const, why: 'the engine is away' };
      assert.deepEqual(judgeReturned(deckies, away, compare(fleet, away)), { asTheyShould: [], differ: [] });
    });
  });
});

describe('what a host reports, as an observation of its engine', () => {
  const entry = { name: 'a', ip: '10.0.0.5', services: ['ssh'], distro: 'd', base_image: 'b', hostname: 'h' };
  const of = (said: object) => engineObservation(readHostObservation({ deployed: true, deckies: [entry], ...said }));

  it('is none while its container engine does not answer', () => {
    assert.deepEqual(of({ runtime: {} }), { answered: false, why: 'the host’s container engine does not answer' });
  });

  it('has a difference for each service that DECNET’s agent does not see running', () => {
    const services = { ssh: 'running', http: 'absent', ftp: 'paused', smtp: 'restarting' };
    const found = of({ runtime: { a: { running: false, services } } });
    assert.ok(found.answered);
    assert.deepEqual(
      found.deckies.get('a')?.differences.map(({ container, reason }) => [container, reason]),
      [
        ['a-http', 'missing'],
        ['a-ftp', 'paused'],
        ['a-smtp', 'exited'],
      ],
    );
  });

  it('has the differences that our agent found itself, and says when the agent is at work', () => {
    const at = (status: string) => ({
      runtime: { a: { running: true, services: {} } },
      deckhand: {
        work: [],
        deckies: { a: { operation_id: 'op', attempt: 1, status, drift: [{ reason: 'cut_off', container: 'a-ssh' }] } },
        orphans: ['z', 'not a name'],
      },
    });
    const found = of(at('succeeded'));
    assert.ok(found.answered);
    assert.deepEqual(
      [found.deckies.get('a')?.differences[0]?.reason, found.deckies.get('a')?.busy, found.orphans],
      ['cut_off', false, ['z']],
    );
    const working = of(at('running'));
    assert.ok(working.answered && working.deckies.get('a')?.busy);
  });
});

describe('the pause between two tries to mend a decky', () => {
  // proof: reconcile-interval
  it('doubles, from the interval to six hours, and is never shorter than the interval', () => {
    const minutes = (interval: number, tries: number): number => mendPauseMs(interval * 60_000, tries) / 60_000;
    assert.deepEqual(
      [0, 1, 2, 3, 4, 9, 10, 500].map((tries) => minutes(1, tries)),
      [0, 1, 2, 4, 8, 256, 360, 360],
    );
    assert.equal(minutes(1_440, 3), 1_440);
  });
});
