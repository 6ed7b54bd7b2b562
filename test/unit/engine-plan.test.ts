import assert from 'node:assert/strict';
import { composeConfigHash } from '../../engine/docker/create-options.ts';
import type { CurrentContainer } from '../../engine/docker/observe.ts';
import {
  describeDifferences,
  findDifferences,
  type PlanContext,
  planDecky,
  type Step,
  serviceOf,
} from '../../engine/docker/plan.ts';
import type { ComposeService, DeckySpec } from '../../fleet/compose.ts';

const CONTEXT: PlanContext = { networkName: 'decnet_lan', networkId: 'net1', project: 'decnet' };
const BASE_ID = 'id-web1';

const serviceSpec = (name: string, change: Partial<ComposeService> = {}): ComposeService => ({
  image: 'deckhand/http:1',
  container_name: name,
  network_mode: 'service:web1',
  depends_on: ['web1'],
  ...change,
});

const spec = (base: Partial<ComposeService> = {}, http: Partial<ComposeService> = {}): DeckySpec => ({
  decky: 'web1',
  keys: ['web1', 'web1-http', 'web1-ssh'],
  services: {
    web1: {
      image: 'deckhand/base:1',
      container_name: 'web1',
      networks: { decnet_lan: { ipv4_address: '10.0.0.5' } },
      ...base,
    },
    'web1-http': serviceSpec('web1-http', http),
    'web1-ssh': serviceSpec('web1-ssh'),
  },
});

/** A container as it would be after `up` of the spec. */
function running(wanted: DeckySpec, key: string, change: Partial<CurrentContainer> = {}): CurrentContainer {
  const isBase = key === wanted.keys[0];
  const service = serviceOf(wanted, key);
  return {
    id: `id-${key}`,
    name: service.container_name,
    decky: 'web1',
    key,
    image: service.image ?? '',
    state: 'running',
    configHash: composeConfigHash(service, isBase ? null : BASE_ID),
    networkId: isBase ? 'net1' : null,
    ip: isBase ? '10.0.0.5' : null,
    endpointId: isBase ? 'endpoint1' : null,
    ...change,
  };
}

const all = (wanted: DeckySpec, change: Record<string, Partial<CurrentContainer>> = {}): CurrentContainer[] =>
  wanted.keys.map((key) => running(wanted, key, change[key]));

const brief = (steps: readonly Step[]): string[] => steps.map((step) => `${step.action} ${step.target}`);

const EVERYTHING_NEW = [
  'ensureNetwork decnet_lan',
  'ensureImage deckhand/base:1',
  'ensureImage deckhand/http:1',
  'createContainer web1',
  'startContainer web1',
  'createContainer web1-http',
  'startContainer web1-http',
  'createContainer web1-ssh',
  'startContainer web1-ssh',
];

describe('the plan for a decky', () => {
  it('makes all that is missing, the base before its services', () => {
    assert.deepEqual(brief(planDecky(spec(), [], CONTEXT)), EVERYTHING_NEW);
  });

  it('C3: is empty when all is as it should be', () => {
    assert.deepEqual(planDecky(spec(), all(spec()), CONTEXT), []);
  });

  it('replaces the one service that changed, and only it', () => {
    const steps = planDecky(spec({}, { environment: { A: 'b' } }), all(spec()), CONTEXT);
    assert.deepEqual(brief(steps), [
      'removeContainer web1-http',
      'ensureImage deckhand/http:1',
      'createContainer web1-http',
      'startContainer web1-http',
    ]);
    assert.equal(steps[0]?.reason, 'its configuration changed');
  });

  it('replaces the services with their base, whose network namespace goes', () => {
    const steps = planDecky(spec({ hostname: 'new' }), all(spec()), CONTEXT);
    assert.deepEqual(brief(steps), [
      'removeContainer web1',
      'removeContainer web1-http',
      'removeContainer web1-ssh',
      ...EVERYTHING_NEW,
    ]);
    assert.equal(steps[1]?.reason, 'its base is made anew');
  });

  it('replaces a base that hangs on another network than the one that stays', () => {
    const steps = planDecky(spec(), all(spec(), { web1: { networkId: 'old' } }), CONTEXT);
    assert.deepEqual(brief(steps).slice(3), EVERYTHING_NEW);
    assert.equal(steps[0]?.reason, 'it is not on the network decnet_lan');
  });

  it('replaces everything when the network is to be made anew', () => {
    const steps = planDecky(spec(), all(spec()), { ...CONTEXT, networkId: null });
    assert.deepEqual(brief(steps).slice(3), EVERYTHING_NEW);
  });

  it('starts what was created and not started', () => {
    const steps = planDecky(spec(), all(spec(), { 'web1-ssh': { state: 'created' } }), CONTEXT);
    assert.deepEqual(steps, [
      { action: 'startContainer', target: 'web1-ssh', reason: 'it is created', key: 'web1-ssh', id: 'id-web1-ssh' },
    ]);
  });

  it('starts a base that stands still, and makes the services anew that hung on its old namespace', () => {
    const current = all(spec(), { web1: { state: 'exited' }, 'web1-ssh': { state: 'exited' } });
    assert.deepEqual(brief(planDecky(spec(), current, CONTEXT)), [
      'removeContainer web1-http',
      'ensureNetwork decnet_lan',
      'ensureImage deckhand/http:1',
      'startContainer web1',
      'createContainer web1-http',
      'startContainer web1-http',
      'startContainer web1-ssh',
    ]);
  });

  it('makes the rest when half of the services are there', () => {
    const steps = planDecky(spec(), all(spec()).slice(0, 2), CONTEXT);
    assert.deepEqual(brief(steps), [
      'ensureImage deckhand/http:1',
      'createContainer web1-ssh',
      'startContainer web1-ssh',
    ]);
  });

  for (const state of ['dead', 'removing', 'paused', 'restarting'])
    it(`makes a container anew that is ${state}`, () => {
      const steps = planDecky(spec(), all(spec(), { 'web1-http': { state } }), CONTEXT);
      assert.deepEqual(brief(steps)[0], 'removeContainer web1-http');
      assert.equal(steps[0]?.reason, `it is ${state}`);
    });

  it('makes a container anew whose image name means another image now', () => {
    const steps = planDecky(spec(), all(spec(), { 'web1-http': { image: 'sha256:abc' } }), CONTEXT);
    assert.equal(steps[0]?.reason, 'the image deckhand/http:1 changed');
  });

  it('removes what nobody wants any more, and a second container of one service', () => {
    const extra = running(spec(), 'web1-http', { id: 'other', name: 'web1-http-2' });
    const gone = running(spec(), 'web1-http', { id: 'gone', name: 'web1-ftp', key: 'web1-ftp' });
    assert.deepEqual(
      planDecky(spec(), [...all(spec()), extra, gone], CONTEXT).map(
        (step) => `${step.action} ${step.target}: ${step.reason}`,
      ),
      ['removeContainer web1-http-2: it is there twice', 'removeContainer web1-ftp: nobody wants it any more'],
    );
  });

  it('does not start again what another attempt left created on the old base', () => {
    const current = all(spec(), { 'web1-ssh': { state: 'created', configHash: 'of another base' } });
    assert.equal(brief(planDecky(spec(), current, CONTEXT))[0], 'removeContainer web1-ssh');
  });
});

describe('the differences of a decky, in words', () => {
  it('are none when all is as specified', () => {
    assert.deepEqual(describeDifferences(spec(), all(spec()), CONTEXT), []);
  });

  it('name each container and why', () => {
    const current = all(spec(), { 'web1-ssh': { state: 'exited' } }).filter(({ key }) => key !== 'web1-http');
    assert.deepEqual(describeDifferences(spec(), current, CONTEXT), [
      'web1-http: it is missing',
      'web1-ssh: it is exited',
    ]);
  });
});

describe('the differences of a decky, by reason', () => {
  const reasons = (wanted: DeckySpec, current: readonly CurrentContainer[]): string[] =>
    findDifferences(wanted, current, CONTEXT).map(({ reason, container }) => `${container} ${reason}`);

  it('name what is missing, and not what only follows from it', () => {
    assert.deepEqual(reasons(spec(), []), ['web1 missing', 'web1-http missing', 'web1-ssh missing']);
    const withoutBase = all(spec()).filter(({ key }) => key !== 'web1');
    assert.deepEqual(reasons(spec(), withoutBase), ['web1 missing']);
  });

  // proof: drift
  it('tell an exited container, another image, another configuration, a moved address and an orphan apart', () => {
    const seen = (change: Record<string, Partial<CurrentContainer>>, wanted = spec()) =>
      reasons(wanted, all(spec(), change));
    assert.deepEqual(seen({ 'web1-http': { state: 'exited' } }), ['web1-http exited']);
    assert.deepEqual(seen({ 'web1-http': { state: 'restarting' } }), ['web1-http exited']);
    assert.deepEqual(seen({ 'web1-http': { image: 'sha256:0815' } }), ['web1-http other_image']);
    assert.deepEqual(seen({}, spec({}, { image: 'deckhand/http:2' })), ['web1-http other_image']);
    assert.deepEqual(seen({}, spec({}, { environment: { A: 'b' } })), ['web1-http other_configuration']);
    assert.deepEqual(seen({ web1: { ip: '10.0.0.6' } }), ['web1 moved_address']);
    assert.deepEqual(seen({ web1: { networkId: 'net2' } }), ['web1 moved_address']);
    assert.deepEqual(seen({ 'web1-ssh': { key: 'web1-ftp' } }), ['web1-ssh missing', 'web1-ssh orphan']);
  });

  // proof: field-3.14-6
  it('call a paused container paused, with the way out, and one that is cut off cut off', () => {
    const seen = (change: Record<string, Partial<CurrentContainer>>) =>
      findDifferences(spec(), all(spec(), change), CONTEXT).map(({ reason, detail }) => [reason, detail]);
    assert.deepEqual(seen({ web1: { state: 'paused' } }), [
      ['paused', 'it is paused; `docker unpause web1` lets it go on, a reconcile makes it anew'],
    ]);
    assert.deepEqual(seen({ 'web1-http': { cutOff: true } }), [
      ['cut_off', 'it is cut off, since its base was started after it'],
    ]);
  });

  it('are none exactly when the plan has nothing to do', () => {
    for (const state of ['running', 'exited', 'created', 'dead', 'paused'])
      for (const ip of ['10.0.0.5', '10.0.0.6', null])
        for (const stopped of [false, true]) {
          const wanted = { ...spec(), stopped };
          const current = all(spec(), { web1: { ip }, 'web1-ssh': { state } });
          const steps = planDecky(wanted, current, CONTEXT);
          assert.equal(reasons(wanted, current).length === 0, steps.length === 0, `${state} ${ip} ${stopped}`);
        }
  });
});

describe('the plan for a stopped decky', () => {
  const stopped = (): DeckySpec => ({ ...spec(), stopped: true });

  it('stops what runs, and makes nothing that is missing or otherwise', () => {
    const current = all(spec(), { 'web1-ssh': { state: 'exited', configHash: 'other' } });
    assert.deepEqual(brief(planDecky(stopped(), current, CONTEXT)), ['stopContainer web1', 'stopContainer web1-http']);
    assert.deepEqual(planDecky(stopped(), [], CONTEXT), []);
  });

  it('is undone by its start: the base starts again, and what hung on it is made anew', () => {
    const current = all(spec(), Object.fromEntries(spec().keys.map((key) => [key, { state: 'exited' }])));
    assert.deepEqual(planDecky(stopped(), current, CONTEXT), []);
    assert.ok(brief(planDecky(spec(), current, CONTEXT)).includes('startContainer web1'));
  });
});
