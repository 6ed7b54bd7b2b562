import assert from 'node:assert/strict';
import { type CurrentNetwork, overlaps, planNetwork } from '../../engine/docker/network.ts';
import type { FleetNetwork } from '../../fleet/config.ts';
import { isDeckhandError } from '../../fleet/errors.ts';

const SCOPE = { instance: 'i1', project: 'decnet' };
const OURS = { 'deckhand.instance': 'i1', 'deckhand.project': 'decnet' };
const DESIRED: FleetNetwork = { driver: 'bridge', interface: 'eth0', subnet: '10.0.0.0/24', gateway: '10.0.0.1' };
const current = (change: Partial<CurrentNetwork> = {}): CurrentNetwork => ({
  id: 'n1',
  driver: 'bridge',
  subnet: '10.0.0.0/24',
  gateway: '10.0.0.1',
  parent: '',
  labels: OURS,
  ...change,
});
const plan = (found: CurrentNetwork | null, desired = DESIRED) => planNetwork('decnet_lan', desired, found, SCOPE);

describe('the plan for the network', () => {
  it('makes it when it is missing', () => {
    assert.equal(plan(null).kind, 'create');
  });

  it('keeps ours when it is the same; the interface means nothing to a bridge', () => {
    assert.deepEqual(plan(current()), { kind: 'keep', id: 'n1' });
  });

  it('compares the interface of a macvlan', () => {
    const desired = { ...DESIRED, driver: 'macvlan' as const };
    assert.equal(plan(current({ driver: 'macvlan', parent: 'eth0' }), desired).kind, 'keep');
    assert.deepEqual(plan(current({ driver: 'macvlan', parent: 'eth1' }), desired), {
      kind: 'replace',
      id: 'n1',
      reason: 'its interface is eth1, not eth0',
    });
  });

  for (const change of [{ driver: 'macvlan' }, { subnet: '10.0.1.0/24' }, { gateway: '10.0.0.254' }])
    it(`replaces ours when its ${Object.keys(change).join()} differs`, () => {
      assert.equal(plan(current(change)).kind, 'replace');
    });

  for (const [whose, labels, words] of [
    ['an unlabelled one', {}, /somebody else/],
    ["another instance's", { ...OURS, 'deckhand.instance': 'i2' }, /Deckhand instance i2, project decnet/],
    ["another project's of the same instance", { ...OURS, 'deckhand.project': 'other' }, /instance i1, project other/],
    ["Compose's", { 'com.docker.compose.project': 'shop' }, /Compose project shop/],
  ] as const)
    it(`C7: refuses to touch ${whose}, and says whose it is and what to do`, () => {
      assert.throws(
        () => plan(current({ labels })),
        (error) =>
          isDeckhandError(error) &&
          error.code === 'NameTaken' &&
          words.test(error.message) &&
          error.message.includes('DECKHAND_PROJECT'),
      );
    });
});

describe('overlapping subnets', () => {
  for (const [a, b, expected] of [
    ['10.0.0.0/24', '10.0.0.0/24', true],
    ['10.0.0.0/16', '10.0.7.0/24', true],
    ['10.0.7.0/24', '10.0.0.0/16', true],
    ['10.0.0.0/24', '10.0.1.0/24', false],
    ['10.0.0.0/24', 'fd00::/64', false],
    ['10.0.0.0/24', 'nonsense', false],
  ] as const)
    it(`${a} and ${b}: ${expected}`, () => {
      assert.equal(overlaps(a, b), expected);
    });
});
