import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Ages, type Inspection } from '../../engine/docker/observe.ts';

const container = (startedAt: number, restarts = 0): Inspection => ({
  id: 'id',
  name: 'web1',
  state: 'running',
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt,
  restarts,
  policy: 'unless-stopped',
});

describe('the age of a container', () => {
  // proof: field-3.14-2
  it('is never negative, and grows by the steady clock alone, wherever other clocks stand', () => {
    const clock = fc.integer({ min: -1e12, max: 1e12 });
    fc.assert(
      fc.property(clock, clock, fc.array(fc.nat(10_000), { maxLength: 5 }), (startedAt, engineNow, passing) => {
        let steady = 0;
        const ages = new Ages(() => steady);
        const one = container(startedAt);
        ages.note([one], engineNow);
        const first = ages.of(one);
        assert.ok(first >= 0);
        for (const ms of passing) {
          steady += ms;
          // A clock that was set meanwhile changes nothing.
          ages.note([one], engineNow - 600_000);
          assert.equal(ages.of(one), first + steady);
        }
      }),
    );
  });

  // proof: field-3.14-2
  it('counts anew with another start, and with a restart of the engine’s', () => {
    let steady = 0;
    const ages = new Ages(() => steady);
    ages.note([container(1_000)], 5_000);
    steady = 60_000;
    assert.equal(ages.of(container(1_000)), 64_000);
    for (const again of [container(61_000), container(1_000, 1)]) {
      assert.ok(ages.hasNew([again]));
      assert.equal(ages.of(again), 0);
      ages.note([again], again.startedAt + 100);
      assert.equal(ages.of(again), 100);
    }
  });

  it('begins with what the engine’s own clock says, so that one that ran for long is old at once', () => {
    const ages = new Ages(() => 0);
    ages.note([container(1_000)], 3_601_000);
    assert.equal(ages.of(container(1_000)), 3_600_000);
  });
});
