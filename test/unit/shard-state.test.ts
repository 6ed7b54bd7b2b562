import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { DeckyReport } from '../../fleet/agent-wire.ts';
import { attemptBoundMs } from '../../fleet/limits.ts';
import { newShard, type ShardEffect, type ShardEvent, type ShardState } from '../../fleet/shard-model.ts';
import type { ShardObservation, ShardRow } from '../../fleet/shard-rows.ts';
import { askPauseMs, continued, failedPauseMs, step } from '../../fleet/shard-state.ts';

const TERMS = {
  hostName: 'h1',
  minHealthyTimeMs: 1_000,
  healthyDeadlineMs: 60_000,
  progressDeadlineMs: 120_000,
  hostLostAfterMs: 90_000,
};
const NAMES = ['a', 'b', 'c'];
const ROWS: readonly ShardRow[] = NAMES.map((name) => ({
  lifecycleId: `id-${name}`,
  deckyName: name,
  operation: 'deploy',
}));
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const report = (deckyName: string, status: DeckyReport['status'], attempt: number, sequence: number): DeckyReport => ({
  lifecycleId: `id-${deckyName}`,
  deckyName,
  status,
  error: status === 'failed' ? 'ContainerExited: it exited' : null,
  seen: null,
  fence: { attempt, sequence },
});

const observation = (more: Partial<ShardObservation> = {}): ShardObservation => ({
  reachable: true,
  sentence: null,
  lastSignMs: null,
  fenced: true,
  known: true,
  has: false,
  rows: [],
  more: false,
  steps: [],
  reportGraceMs: 5_000,
  ...more,
});

/** A shard, what became of its rows, and every effect with its time. */
class Run {
  state: ShardState;
  now = 0;
  readonly effects: { readonly at: number; readonly effect: ShardEffect }[] = [];
  readonly ends = new Map<string, string>();

  constructor({ bounded = false, terms = TERMS } = {}) {
    this.state = newShard(terms, { bounded, holds: !bounded }, 0);
  }

  take(event: ShardEvent): readonly ShardEffect[] {
    const { state, effects } = step(this.state, event, this.now);
    this.state = state.phase === 'continued' ? continued(JSON.parse(JSON.stringify(state))) : state;
    for (const effect of effects) this.perform(effect, event);
    if (state.phase === 'continued') this.take({ type: 'started', turn: true });
    return effects;
  }

  private perform(effect: ShardEffect, event: ShardEvent): void {
    this.effects.push({ at: this.now, effect });
    if (effect.type !== 'endRow') return;
    const { deckyName, status, error = '' } = effect.transition;
    assert.ok(!this.ends.has(deckyName), `${deckyName} ended twice`);
    this.ends.set(deckyName, status === 'succeeded' ? status : error);
    if (/^(ProgressDeadline|HostLost):/.test(error)) assert.equal(event.type, 'tick', 'only a tick judges deadlines');
  }

  /** Answers the request under way. */
  answer(event: DistributiveOmit<Extract<ShardEvent, { request: number }>, 'request'>): readonly ShardEffect[] {
    return this.take({ ...event, request: this.state.pending ?? 0 });
  }

  /** Until the host has the order. */
  ordered(): this {
    this.take({ type: 'started', turn: true });
    if (this.state.phase === 'slot') this.take({ type: 'slotGranted', forGood: false });
    this.answer({ type: 'dispatched', rows: ROWS, answer: 'accepted', fenced: true });
    return this;
  }

  get openRows(): readonly ShardRow[] {
    return ROWS.filter(({ deckyName }) => !this.ends.has(deckyName));
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const failure = (code: string | null, final: boolean) => ({ code, final, message: 'm', error: `${code}: m` });

/** What may happen next; how an answer looks is decided when it is known which one is waited for. */
type Happening =
  | { readonly kind: 'report'; readonly reports: readonly DeckyReport[] }
  | { readonly kind: 'answer' | 'failure' | 'late' | 'cancelled' | 'long' | 'granted' | 'tick'; readonly at: number };

const reports = fc.array(
  fc
    .record({
      name: fc.constantFrom(...NAMES, 'stranger'),
      status: fc.constantFrom<DeckyReport['status'][]>('running', 'running', 'succeeded', 'failed'),
      attempt: fc.integer({ min: 0, max: 3 }),
      sequence: fc.integer({ min: 0, max: 9 }),
      fenced: fc.boolean(),
    })
    .map(({ name, status, attempt, sequence, fenced }) => ({
      ...report(name, status, attempt, sequence),
      ...(fenced ? {} : { fence: null }),
    })),
  { minLength: 1, maxLength: 4 },
);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 4, arbitrary: reports.map((some) => ({ kind: 'report' as const, reports: some })) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom<Exclude<Happening['kind'], 'report'>[]>('answer', 'answer', 'answer', 'tick', 'granted'),
      at: fc.nat(11),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom<Exclude<Happening['kind'], 'report'>[]>('failure', 'late', 'cancelled', 'long'),
      at: fc.nat(11),
    }),
  },
);
const happenings = fc.array(fc.tuple(happening, fc.constantFrom(0, 1, 500, 5_000, 31_000, 130_000)), { maxLength: 40 });

/** An answer to whatever is asked, of one kind or another. */
function answerOf(run: Run, kind: number): ShardEvent | null {
  const { phase, pending } = run.state;
  if (pending === null) return null;
  const request = pending;
  const one = <T>(...some: readonly T[]): T => some[kind % some.length] ?? (some[0] as T);
  switch (phase) {
    case 'turn':
      return { type: 'turn', request };
    case 'rows':
      return { type: 'rows', request, rows: run.openRows };
    case 'sending':
      return {
        type: 'dispatched',
        request,
        rows: run.openRows,
        answer: one('accepted', 'unknown', 'accepted', 'accepted', 'done'),
        fenced: one(true, true, false),
      };
    case 'asking': {
      const proved = (['succeeded', 'failed', 'open'] as const).map((status, at) => ({
        deckyName: NAMES[at] ?? '',
        status,
        proof: one('certain' as const, 'twice' as const, null),
        error: null,
        seen: null,
        step: null,
      }));
      return {
        type: 'observation',
        request,
        observation: observation({
          reachable: one(true, false),
          known: one(true, true, false),
          has: one(false, true),
          rows: one([], [], proved),
          steps: one(['x'], []),
          more: one(false, false, false, true),
        }),
      };
    }
    case 'awaiting':
      return { type: 'answered', request };
    case 'recalling':
      return { type: 'recalled', request, recalled: one(true, false) };
    default:
      return null;
  }
}

function eventOf(run: Run, one: Happening): ShardEvent | null {
  const pending = run.state.pending ?? 0;
  switch (one.kind) {
    case 'report':
      return { type: 'report', reports: one.reports };
    case 'answer':
      return answerOf(run, one.at);
    case 'failure': {
      // Rows are read until the database is back.
      if (run.state.phase === 'rows') return null;
      const codes = ['HostUnreachable', 'HostFailed', 'HostSilent', 'HostRefused', null];
      return { type: 'failed', request: pending, failure: failure(codes[one.at % 5] ?? null, one.at % 5 === 3) };
    }
    case 'late':
      return { type: 'failed', request: pending - 1 - (one.at % 2), failure: failure('HostRefused', true) };
    case 'granted':
      return { type: 'slotGranted', forGood: one.at === 0 };
    case 'cancelled':
      return one.at < 3 ? { type: 'cancelled' } : null;
    case 'long':
      return { type: 'historyLong' };
    case 'tick':
      return { type: 'tick' };
  }
}

/** What reports of each attempt say of each row: the first end counts, and a report that was overtaken does not. */
class Reported {
  private readonly last = new Map<string, number>();
  private readonly ended = new Set<string>();

  /** The rows that these end as succeeded. */
  successes({ state, ends }: Run, some: readonly DeckyReport[]): string[] {
    if (state.phase === 'recalling') return [];
    return some.flatMap(({ deckyName, status, fence }) => {
      const key = `${state.attempt} ${deckyName}`;
      if (state.attempt === 0 || fence?.attempt !== state.attempt || fence.sequence <= (this.last.get(key) ?? -1))
        return [];
      this.last.set(key, fence.sequence);
      if (status === 'running' || ends.has(deckyName) || this.ended.has(key)) return [];
      this.ended.add(key);
      return status === 'succeeded' && NAMES.includes(deckyName) ? [deckyName] : [];
    });
  }
}

/** Plays what happens, then answers well until the shard has ended. */
function play(run: Run, some: readonly (readonly [Happening, number])[]): void {
  const reported = new Reported();
  const succeeded = new Set<string>();
  const take = (event: ShardEvent): void => {
    const successes = event.type === 'report' ? reported.successes(run, event.reports) : [];
    const isAtOnce = run.state.rowsKnown;
    run.take(event);
    for (const name of successes) {
      if (isAtOnce) assert.equal(run.ends.get(name), 'succeeded', `${name} was reported as succeeded`);
      succeeded.add(name);
    }
  };
  take({ type: 'started', turn: true });
  for (const [one, pauseMs] of some) {
    run.now += pauseMs;
    const event = eventOf(run, one);
    if (event) take(event);
  }
  for (let at = 0; run.state.phase !== 'ended' && at < 200; at += 1) {
    run.now += 60_000;
    const event = answerOf(run, 1) ?? (run.state.phase === 'slot' ? granted : tick);
    take(event);
  }
  assert.equal(run.state.phase, 'ended');
  for (const name of succeeded) assert.equal(run.ends.get(name), 'succeeded');
}
const granted: ShardEvent = { type: 'slotGranted', forGood: false };
const tick: ShardEvent = { type: 'tick' };

describe('the state of a shard', () => {
  // proof: field-1.3-2
  it('never fails a reported success, and takes it in at once in every phase', () => {
    void fc.assert(
      fc.property(fc.boolean(), happenings, (bounded, some) => {
        play(new Run({ bounded }), some);
      }),
      { numRuns: 300 },
    );
  });

  // proof: field-1.3-2
  it('ends every row exactly once, whatever comes in any order, repeated or late', () => {
    void fc.assert(
      fc.property(fc.boolean(), happenings, (bounded, some) => {
        const run = new Run({ bounded });
        play(run, some);
        assert.deepEqual([...run.ends.keys()].sort(), NAMES);
        const counted = [...run.state.done, ...run.state.failed].sort();
        assert.deepEqual(counted, NAMES);
      }),
      { numRuns: 300 },
    );
  });

  it('sends nothing when it was cancelled before it began', () => {
    for (const turn of [true, false]) {
      const run = new Run();
      run.take({ type: 'cancelled' });
      run.take({ type: 'started', turn });
      run.answer({ type: 'rows', rows: ROWS });
      assert.equal(run.state.phase, 'ended');
      assert.deepEqual(
        run.effects.map(({ effect }) => effect.type).filter((type) => type === 'dispatch' || type === 'awaitTurn'),
        [],
      );
      for (const { deckyName } of ROWS) assert.match(run.ends.get(deckyName) ?? '', /^Cancelled: /);
    }
  });

  it('takes reports in that came before its order was sent', () => {
    const run = new Run();
    run.take({ type: 'report', reports: [report('a', 'succeeded', 1, 1)] });
    run.ordered();
    assert.equal(run.ends.get('a'), 'succeeded');
  });

  it('takes reports in that came before its rows were known', () => {
    const run = new Run();
    run.take({ type: 'started', turn: true });
    run.take({ type: 'report', reports: [report('a', 'succeeded', 1, 1)] });
    assert.equal(run.ends.size, 0);
    run.answer({ type: 'dispatched', rows: ROWS, answer: 'accepted', fenced: true });
    assert.deepEqual([...run.ends], [['a', 'succeeded']]);
  });

  // proof: field-1.3-2
  it('judges no deadline before the host was asked after it', () => {
    const run = new Run().ordered();
    run.now = TERMS.progressDeadlineMs + 1_000;
    assert.deepEqual(
      run.take(tick).map(({ type }) => type),
      ['ask', 'sleepUntil'],
    );
    run.take({ type: 'report', reports: [report('a', 'succeeded', 1, 1)] });
    run.answer({ type: 'observation', observation: observation() });
    run.take(tick);
    assert.deepEqual([...run.ends], [['a', 'succeeded']]);
  });

  it('goes on in a new run with all that it knew', () => {
    const run = new Run().ordered();
    run.take({ type: 'report', reports: [report('a', 'running', 1, 50), report('b', 'succeeded', 1, 51)] });
    run.take({ type: 'historyLong' });
    assert.equal(run.state.phase, 'rows');
    run.answer({ type: 'rows', rows: run.openRows });
    run.take({ type: 'report', reports: [report('a', 'failed', 1, 49)] });
    assert.deepEqual([...run.ends.keys()], ['b']);
    run.take({ type: 'report', reports: [report('a', 'succeeded', 1, 52), report('c', 'succeeded', 1, 53)] });
    assert.equal(run.state.phase, 'ended');
    assert.deepEqual(run.state.done, ['b', 'a', 'c']);
  });
});

/** How a host behaves to which nothing new happens: what it answers, in turns. */
interface Host {
  /** 0: takes the order. */
  readonly dispatch: readonly number[];
  readonly asked: readonly ('well' | 'silent' | 'forgot')[];
  /** Milliseconds until an unreachable host answers; -1: it does not. */
  readonly awaited: readonly number[];
  /** Milliseconds between repeated `running` reports; 0: none. */
  readonly repeatsMs: number;
  readonly bounded: boolean;
}

const turns = <T>(...some: readonly T[]): fc.Arbitrary<T[]> =>
  fc.array(fc.constantFrom(...some), { minLength: 1, maxLength: 6 });
const host: fc.Arbitrary<Host> = fc.record({
  dispatch: turns(0, 0, 1, 2),
  asked: turns<Host['asked'][number]>('well', 'silent', 'forgot'),
  awaited: turns(0, 10, 3_000, -1),
  repeatsMs: fc.constantFrom(0, 0, 7_000, 40_000),
  bounded: fc.boolean(),
});

/** Lives with that host until the shard has ended, or for so long. Each answer takes ten milliseconds. */
function live({ dispatch, asked, awaited, repeatsMs, bounded }: Host, terms: typeof TERMS, longestMs: number): Run {
  const run = new Run({ bounded, terms });
  const next = new Map<object, number>();
  const turn = <T>(some: readonly T[]): T => {
    const at = next.get(some) ?? 0;
    next.set(some, at + 1);
    return some[at % some.length] as T;
  };
  let sequence = 0;
  let repeatAt = repeatsMs || Number.POSITIVE_INFINITY;
  run.take({ type: 'started', turn: true });
  while (run.state.phase !== 'ended' && run.now < longestMs) {
    const { phase, sleepUntil } = run.state;
    if (run.now >= repeatAt) {
      repeatAt = run.now + repeatsMs;
      run.take({ type: 'report', reports: [report('a', 'running', run.state.attempt, sequence++)] });
    } else if (phase === 'sending') {
      run.now += 10;
      const code = turn(dispatch);
      if (code === 0) run.answer({ type: 'dispatched', rows: ROWS, answer: 'accepted', fenced: true });
      else run.answer({ type: 'failed', failure: failure(code === 1 ? 'HostFailed' : 'HostUnreachable', false) });
    } else if (phase === 'asking') {
      run.now += 10;
      const how = turn(asked);
      const answer = observation({ reachable: how !== 'silent', known: how !== 'forgot', sentence: 'no answer' });
      run.answer({ type: 'observation', observation: { ...answer, lastSignMs: how === 'silent' ? null : run.now } });
    } else if (phase === 'awaiting') {
      const ms = turn(awaited);
      const last = run.effects.findLast(({ effect }) => effect.type === 'awaitHost')?.effect;
      run.now += ms >= 0 ? ms : last?.type === 'awaitHost' ? last.waitMs : 0;
      if (ms >= 0) run.answer({ type: 'answered' });
      else run.answer({ type: 'failed', failure: failure(null, false) });
    } else if (phase === 'slot') {
      run.now += 10;
      run.take(granted);
    } else if (phase === 'rows') {
      run.answer({ type: 'rows', rows: run.openRows });
    } else {
      run.now = Math.max(run.now, Math.min(sleepUntil ?? repeatAt, repeatAt));
      if (run.now < repeatAt) run.take(tick);
    }
    assert.ok(run.effects.length < 50_000, 'it spins');
  }
  return run;
}

/** The most effects in any minute. */
function busiest({ effects }: Run): number {
  const minutes = new Map<number, number>();
  for (const { at } of effects) {
    const minute = Math.floor(at / MINUTE_MS);
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
  }
  return Math.max(...minutes.values());
}

const LONG = { ...TERMS, progressDeadlineMs: DAY_MS, hostLostAfterMs: DAY_MS };

/** It answers whoever waits for it, and fails at every question. */
const ANSWERS_HALF: Host = { dispatch: [0], asked: ['silent'], awaited: [0], repeatsMs: 0, bounded: false };

describe('a shard to which nothing new is reported', () => {
  // proof: field-1.4-4
  it('has at most 100 effects in any minute, whatever its host answers and fails at', () => {
    void fc.assert(
      fc.property(host, (one) => {
        assert.ok(busiest(live(one, LONG, 60 * MINUTE_MS)) <= 100);
      }),
      { numRuns: 100, examples: [[ANSWERS_HALF]] },
    );
  });

  // proof: field-1.4-4
  it('has fewer than 12,000 effects in a day, whatever its host answers and fails at', () => {
    void fc.assert(
      fc.property(host, (one) => {
        const run = live({ ...one, repeatsMs: 0 }, LONG, DAY_MS);
        assert.ok(run.effects.length < 12_000, `${run.effects.length}`);
      }),
      { numRuns: 50, examples: [[ANSWERS_HALF]] },
    );
  });

  // proof: field-1.5-2
  it('ends its rows soon after the deadline, however often `running` is repeated', () => {
    void fc.assert(
      fc.property(fc.constantFrom(0, 500, 7_000, 40_000), fc.boolean(), (repeatsMs, bounded) => {
        const well: Host = { dispatch: [0], asked: ['well'], awaited: [0], repeatsMs, bounded };
        const run = live(well, TERMS, DAY_MS);
        assert.match(run.ends.get('a') ?? '', /^ProgressDeadline: host h1 reported nothing new for 120 s/);
        assert.ok(run.now <= TERMS.progressDeadlineMs + 2 * MINUTE_MS, `${run.now} ms`);
      }),
    );
  });

  // proof: field-1.5-2
  it('ends each attempt within its bound, however often something new is observed', () => {
    const run = new Run().ordered();
    const bound = attemptBoundMs(TERMS, NAMES.length);
    for (let at = 0; run.state.phase !== 'ended' && run.now < 2 * bound; at += 1) {
      run.now = Math.max(run.now, run.state.sleepUntil ?? 0);
      run.take(tick);
      if (run.state.phase === 'asking')
        run.answer({ type: 'observation', observation: observation({ steps: [`step ${at}`] }) });
    }
    assert.match(run.ends.get('a') ?? '', /^ProgressDeadline: host h1 did not end its work within/);
    assert.ok(run.now <= bound + MINUTE_MS);
  });

  // proof: field-1.5-2
  it('takes a step that it has not observed as progress, and no other', () => {
    const run = new Run().ordered();
    const observe = (...steps: string[]): number => {
      run.now = run.state.sleepUntil ?? 0;
      run.take(tick);
      run.answer({ type: 'observation', observation: observation({ steps }) });
      return run.state.lastProgress;
    };
    const first = observe('creating web');
    assert.equal(first, run.now);
    assert.equal(observe('creating web'), first);
    assert.equal(observe(), first);
  });

  // proof: field-1.4-4
  it('is asked less and less often: a day in which nothing moves has fewer than 400 questions', () => {
    let asks = 0;
    for (let quietMs = 0; quietMs < DAY_MS; quietMs += askPauseMs(quietMs)) asks += 1;
    assert.ok(asks > 200 && asks < 400, `${asks}`);
    assert.equal(askPauseMs(0), 30_000);
  });

  it('tries a host that fails again and again with pauses that grow to five minutes', () => {
    const pauses = Array.from({ length: 12 }, (_, failures) => failedPauseMs(failures));
    assert.deepEqual(pauses.slice(0, 4), [0, 2_000, 4_000, 8_000]);
    assert.equal(pauses.at(-1), 300_000);
  });
});

describe('the bound of an attempt', () => {
  it('grows with its deadlines and with the deckies that can’t be brought up at once', () => {
    const bound = (deckies: number, progressDeadlineMs = 600_000) =>
      attemptBoundMs({ progressDeadlineMs, healthyDeadlineMs: 300_000 }, deckies);
    assert.ok(bound(1) > 6 * 600_000);
    assert.equal(bound(1), bound(12));
    assert.ok(bound(13) > bound(12));
    assert.ok(bound(1, 1_200_000) > bound(1));
  });
});
