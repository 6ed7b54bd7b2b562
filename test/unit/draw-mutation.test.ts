import assert from 'node:assert/strict';
import { archetypeBySlug, SELECTABLE_SERVICES, serviceByName } from '../../fleet/catalog.ts';
import type { DesiredDecky } from '../../fleet/config.ts';
import { drawMutation, namedMutation, seededRandom } from '../../fleet/draw.ts';
import { INTERVAL_PATTERN, intervalMinutes, intervalProblem } from '../../fleet/durations.ts';
import { GENERAL, plan } from '../support/fixtures/planning.ts';

const decky = (section: string): DesiredDecky => {
  const [found] = plan(`${GENERAL}${section}`).deckies;
  assert.ok(found);
  return found;
};
const draws = (one: DesiredDecky, count = 300): (readonly string[])[] =>
  Array.from({ length: count }, (_, seed) => drawMutation(one, [], seededRandom(`draw ${seed}`)));

describe('what a mutation draws', () => {
  // proof: gap-c10
  it('is one to three services, no two on one port, and another set than before (gap C11)', () => {
    const before = decky('[web-01]\nservices=http,ssh\n');
    const sizes = new Set<number>();
    for (const services of draws(before)) {
      sizes.add(services.length);
      const ports = services.flatMap((name) => [...new Set(serviceByName(name)?.default_ports)]);
      assert.equal(new Set(ports).size, ports.length, services.join());
      assert.ok(services.every((name) => SELECTABLE_SERVICES.includes(name)));
      assert.notDeepEqual([...services].sort(), ['http', 'ssh']);
    }
    assert.deepEqual([...sizes].sort(), [1, 2, 3]);
  });

  it('comes from the archetype’s pool, and keeps the set where that has no other', () => {
    const pool = archetypeBySlug('windows-workstation')?.services ?? [];
    for (const services of draws(decky('[w]\narchetype=windows-workstation\n'), 50))
      assert.ok(services.every((name) => pool.includes(name)));
  });

  it('never makes a container name that another decky has', () => {
    const others = SELECTABLE_SERVICES.filter((name) => name !== 'ssh').map((name) => ({
      name: `a-${name.replaceAll('_', '-')}`,
      services: [],
    }));
    for (let seed = 0; seed < 40; seed += 1)
      assert.deepEqual(drawMutation(decky('[a]\nservices=ssh\n'), others, seededRandom(`${seed}`)), ['ssh']);
  });

  it('is decided by the request alone', () => {
    const one = decky('[a]\nservices=ssh\n');
    assert.deepEqual(drawMutation(one, [], seededRandom('x')), drawMutation(one, [], seededRandom('x')));
  });
});

describe('services that the caller of a mutation names', () => {
  it('are taken once each, in order; the decky’s own services count as known', () => {
    const one = decky('[custom-shop]\nbinary=shop:1\n[a]\nservices=shop\n');
    assert.deepEqual(namedMutation(one, ['ssh', 'shop', 'ssh'], []), ['ssh', 'shop']);
  });

  it('are refused where one is unknown or no service of a decky', () => {
    const one = decky('[a]\nservices=ssh\n');
    for (const name of ['nonsense', 'sniffer'])
      assert.throws(() => namedMutation(one, ['ssh', name], []), { code: 'InvalidDecky', message: new RegExp(name) });
  });

  it('are refused where a container name would be another decky’s', () => {
    const one = decky('[a]\nservices=ssh\n');
    assert.throws(() => namedMutation(one, ['http'], [{ name: 'a-http', services: [] }]), { code: 'InvalidDecky' });
  });
});

describe('intervals', () => {
  it('count minutes, days, months and years', () => {
    const minutes = ['30m', '5d', '2M', '1y', '1Y'].map(intervalMinutes);
    assert.deepEqual(minutes, [30, 7_200, 86_400, 525_600, 525_600]);
  });

  it('are nothing else', () => {
    for (const text of ['0m', '30', 'm', '-5m', '5h', '05m', '5 m', '1234567890m'])
      assert.equal(INTERVAL_PATTERN.test(text), false, text);
  });

  it('are at most 100 years, whatever the unit', () => {
    for (const text of ['100y', '100Y', '1216M', '36500d', '52560000m'])
      assert.equal(intervalProblem(text), null, text);
    for (const text of ['101y', '1217M', '36501d', '52560001m', '999999999y'])
      assert.match(intervalProblem(text) ?? '', /^'\d+[a-zA-Z]' is longer than 100 years\. Write /);
  });
});
