import assert from 'node:assert/strict';
import type { ComposeEngine, DeckyObservation, Health } from '../../engine/engine.ts';
import type { LocalEngine } from '../../engine/local-engine.ts';
import {
  afterHealth,
  describeLastGood,
  describeObservation,
  fallBack,
  inTheWay,
  leaveNetwork,
  planRollout,
  type Rollout,
  rolloutOnce,
  rolloutWithRetries,
  tidy,
  watch,
} from '../../engine/rollout.ts';
import type { ComposeDocument, DeckySpec } from '../../fleet/compose.ts';
import type { DesiredDecky, FleetNetwork } from '../../fleet/config.ts';
import { DeckhandError } from '../../fleet/errors.ts';

const { signal } = new AbortController();
const networkOf = (subnet: string): FleetNetwork => ({ driver: 'bridge', interface: '', subnet, gateway: '' });
const [OLD, NEW] = [networkOf('10.1.0.0/24'), networkOf('10.2.0.0/24')];

function spec(decky: string, ip = '10.1.0.2'): DeckySpec {
  const base = { image: 'base:1', container_name: decky, networks: { lan: { ipv4_address: ip } } };
  return { decky, keys: [decky], services: { [decky]: base as DeckySpec['services'][string] } };
}

const desired = (name: string, stopped = false): DesiredDecky => ({
  config: { name } as DesiredDecky['config'],
  custom_services: [],
  ...(stopped ? { stopped } : {}),
});

const seen = (decky: string, ip: string | null, differences: readonly string[] = []): DeckyObservation => ({
  decky,
  asSpecified: differences.length === 0,
  differences,
  drift: [],
  containers: [{ name: decky, service: decky, state: 'running', ip }],
});

const healthy: Health = { status: 'healthy' };
const young: Health = { status: 'waiting', sentence: 'it has run 0.5 of 2 s', remainingMs: 1 };
const exited: Health = {
  status: 'failed',
  sentence: 'container web-ssh is exited, exit code 1. Last lines of its log:\nboom',
};

/** An engine of scripted answers that writes down what it was asked to change. */
function scripted(answers: Partial<ComposeEngine> = {}): { local: LocalEngine; calls: string[] } {
  const calls: string[] = [];
  const engine: Partial<ComposeEngine> = {
    up: async ({ decky }, { subnet }) => {
      calls.push(`up ${decky} on ${subnet}`);
      return { unchanged: false, steps: [] };
    },
    down: async (decky) => {
      calls.push(`down ${decky}`);
      return [];
    },
    health: async () => healthy,
    observe: async (specs) => specs.map(({ decky }) => seen(decky, null)),
    deckies: async () => [],
    otherNetwork: async () => null,
    tryNetwork: async ({ subnet }) => void calls.push(`try ${subnet}`),
    ensureNetwork: async ({ subnet }) => void calls.push(`ensure ${subnet}`),
    removeNetworkIfUnused: async () => {
      calls.push('remove network');
      return true;
    },
    writeDocument: async () => {
      calls.push('write document');
      return '';
    },
    ...answers,
  };
  const resolve: LocalEngine['resolve'] = (deckies) => ({
    document: {} as ComposeDocument,
    deckies: deckies.map(({ config }) => spec(config.name)),
  });
  return { local: { engine: engine as ComposeEngine, resolve, cutSecrets: (text) => text }, calls };
}

const once = (local: LocalEngine, notes: string[] = []): Rollout =>
  rolloutOnce(local, (step) => void notes.push(step), signal);

const retried = (local: LocalEngine, notes: string[] = []): Rollout =>
  rolloutWithRetries(local, {
    progressDeadlineMs: 2_000,
    signal,
    abort: signal,
    onStep: (step) => void notes.push(step),
  });

/** Answers one after the other; the last one stays. */
function inTurn<T>(first: T, ...rest: T[]): () => Promise<T> {
  let current = first;
  return async () => {
    const answer = current;
    for (const next of rest.splice(0, 1)) current = next;
    return answer;
  };
}

const passing = () => new DeckhandError('EngineBusy', 'the engine is busy');

describe('the plan of a rollout', () => {
  it('leaves each decky alone that keeps its address', () => {
    assert.deepEqual(inTheWay([spec('a', '1'), spec('b', '2')], [seen('a', '1'), seen('b', '2')]), []);
  });

  it('names who holds an address that another one needs: both of a swap, one of a move', () => {
    assert.deepEqual(inTheWay([spec('a', '2'), spec('b', '1')], [seen('a', '1'), seen('b', '2')]), ['a', 'b']);
    assert.deepEqual(inTheWay([spec('a', '2'), spec('b', '3')], [seen('a', '1'), seen('b', '2')]), ['b']);
  });

  it('leaves alone who merely moves away, and addresses that nobody needs', () => {
    assert.deepEqual(inTheWay([spec('a', '9')], [seen('a', '1'), seen('x', '7'), seen('y', null)]), []);
  });

  it('tells deckies that differ from those that are young and those that are as specified', async () => {
    const { local, calls } = scripted({
      observe: async () => [seen('a', null, ['it is missing']), seen('b', null), seen('c', null)],
      health: async ({ decky }) => (decky === 'b' ? young : healthy),
    });
    const plan = await planRollout(
      local,
      ['a', 'b', 'c'].map((name) => desired(name)),
      2_000,
      signal,
    );
    assert.deepEqual(
      [...plan.verdicts],
      [
        ['a', 'differs'],
        ['b', 'young'],
        ['c', 'as specified'],
      ],
    );
    const atOnce = await planRollout(local, [desired('b')], 0, signal);
    assert.deepEqual([...atOnce.verdicts], [['b', 'as specified']]);
    assert.deepEqual(calls, [], 'nothing was changed');
  });
});

describe('the watch over a decky', () => {
  it('decides by the answer and the deadline what follows', () => {
    assert.equal(afterHealth(healthy, true), 'done');
    assert.equal(afterHealth(young, false), young);
    const [late, failed] = [afterHealth(young, true), afterHealth(exited, false)];
    assert.ok(late instanceof DeckhandError && failed instanceof DeckhandError);
    assert.deepEqual([late.code, failed.code], ['HealthyDeadline', 'ContainerExited']);
    assert.equal(failed.message, exited.sentence);
  });

  it('asks until the decky is healthy, and tells what it waits for', async () => {
    const notes: string[] = [];
    const { local } = scripted({ health: inTurn<Health>(young, young, healthy) });
    await watch(once(local, notes), spec('a'), { minHealthyMs: 2_000, leftMs: 5_000 });
    assert.deepEqual(notes, [young.sentence, young.sentence]);
  });

  it('asks once where no time is left', async () => {
    const { local } = scripted({ health: inTurn(young) });
    const watched = watch(once(local), spec('a'), { minHealthyMs: 2_000, leftMs: -1 });
    await assert.rejects(watched, { code: 'HealthyDeadline', message: young.sentence });
  });

  it('waits errors out that may pass only where nobody retries the caller', async () => {
    const failing = () => {
      let tries = 0;
      return scripted({
        health: async () => {
          tries += 1;
          if (tries === 1) throw passing();
          return healthy;
        },
      }).local;
    };
    const timing = { minHealthyMs: 1, leftMs: 5_000, everyMs: 1 };
    await assert.rejects(watch(once(failing()), spec('a'), timing), { code: 'EngineBusy' });
    const notes: string[] = [];
    await watch(retried(failing(), notes), spec('a'), timing);
    assert.match(notes.join(), /^retrying: the engine is busy; until /);
  });

  it('ends with the reason of the signal', async () => {
    const stop = new AbortController();
    const { local } = scripted({ health: async () => ({ ...young, remainingMs: 60_000 }) });
    const rollout = rolloutOnce(local, () => stop.abort(new Error('an order came')), stop.signal);
    const watched = watch(rollout, spec('a'), { minHealthyMs: 1, leftMs: 60_000 });
    await assert.rejects(watched, /an order came/);
  });
});

describe('the fall back after a failure', () => {
  const failed = (established: DesiredDecky | null) => ({ name: 'web', network: OLD, established });

  // proof: field-3.4-1
  it('brings the last good version back and says so once it was seen to run', async () => {
    const { local, calls } = scripted({ health: inTurn<Health>(young, healthy) });
    const told = await fallBack(once(local), failed(desired('web')));
    assert.deepEqual(told, { sentence: 'the last good version is back', seen: 'running', isDone: true });
    assert.deepEqual(calls, ['up web on 10.1.0.0/24']);
  });

  // proof: field-3.4-1
  it('says why a version that was started does not run, without its log', async () => {
    const { local } = scripted({ health: inTurn<Health>(young, exited) });
    const told = await fallBack(once(local), failed(desired('web')));
    const why = 'the last good version was started, and does not run: container web-ssh is exited, exit code 1';
    assert.deepEqual(told, { sentence: why, seen: 'degraded', isDone: true });
  });

  // proof: field-3.4-1
  it('says what differs of a version that runs', async () => {
    const differences = ['web-ssh is not in the network of its base'];
    const { local } = scripted({ observe: async () => [seen('web', null, differences)] });
    const { sentence, seen: state } = await fallBack(once(local), failed(desired('web')));
    assert.match(sentence, /^the last good version was started, and is not as it was: web-ssh is not in the network/);
    assert.equal(state, 'degraded');
  });

  it('tells a version that an operator stopped from one that runs', () => {
    const told = describeLastGood({ stopped: true }, {});
    assert.deepEqual(told, { sentence: 'the last good version is stopped again', seen: 'stopped' });
  });

  // proof: field-3.4-1
  it('removes what never came up, and says so only where nothing is left', async () => {
    const { local, calls } = scripted({ deckies: inTurn<readonly string[]>(['other'], ['web']) });
    const gone = await fallBack(once(local), failed(null));
    assert.deepEqual(gone, { sentence: 'what had been started was removed', seen: 'failed', isDone: true });
    const left = await fallBack(once(local), failed(null));
    assert.deepEqual(left, { sentence: 'a container of it is still there', seen: 'degraded', isDone: false });
    assert.deepEqual(calls, ['down web', 'down web']);
  });

  it('says what was observed of a decky that is left as it is', () => {
    const of = (one: DeckyObservation, stopped = false) => describeObservation(one, stopped).seen;
    assert.equal(of(seen('a', null)), 'running');
    assert.equal(of(seen('a', null), true), 'stopped');
    assert.equal(of(seen('a', null, ['it is paused'])), 'degraded');
    assert.equal(of({ ...seen('a', null, ['it is missing']), containers: [] }), 'failed');
  });
});

describe('leaving a network', () => {
  const options = (givenUp: string[], tryFirst = true) => ({
    tryFirst,
    giveUp: async (left: FleetNetwork) => void givenUp.push(left.subnet),
  });

  it('does nothing where the network is the wanted one already', async () => {
    const { local, calls } = scripted();
    await leaveNetwork(once(local), NEW, options([]));
    assert.deepEqual(calls, []);
  });

  it('tries the new one before it takes anything down', async () => {
    const { local, calls } = scripted({
      otherNetwork: async () => ({ present: OLD }),
      deckies: async () => ['a', 'b'],
    });
    await leaveNetwork(once(local), NEW, options([]));
    assert.deepEqual(calls, ['try 10.2.0.0/24', 'down a', 'down b', 'remove network', 'ensure 10.2.0.0/24']);
  });

  it('makes the new one at a retry that finds the old one gone', async () => {
    let tries = 0;
    const { local, calls } = scripted({
      otherNetwork: inTurn<{ present: FleetNetwork } | null>({ present: OLD }, null),
      ensureNetwork: async ({ subnet }) => {
        tries += 1;
        if (tries === 1) throw passing();
        calls.push(`ensure ${subnet}`);
      },
    });
    await leaveNetwork(retried(local), NEW, options([], false));
    assert.deepEqual(calls, ['remove network', 'ensure 10.2.0.0/24']);
  });

  it('names the network that was left where the new one could not be made', async () => {
    const refusal = new DeckhandError('EngineRefused', 'the subnet overlaps');
    const { local } = scripted({
      otherNetwork: async () => ({ present: OLD }),
      ensureNetwork: () => Promise.reject(refusal),
    });
    const givenUp: string[] = [];
    await assert.rejects(leaveNetwork(once(local), NEW, options(givenUp)), refusal);
    assert.deepEqual(givenUp, ['10.1.0.0/24']);
  });
});

describe('tidying up', () => {
  it('removes the network only where no decky is left', async () => {
    const { local, calls } = scripted();
    assert.equal(await tidy(local, [desired('a')], signal), false);
    assert.deepEqual(calls.splice(0), ['write document']);
    assert.equal(await tidy(local, [], signal), true);
    assert.deepEqual(calls, ['write document', 'remove network']);
  });
});
