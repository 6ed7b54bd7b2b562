import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type CurrentHelper,
  type DesiredHelper,
  helperName,
  planHelper,
} from '../../engine/docker/helper-interface.ts';

/** What the kernel does with the commands; a route needs a link that is up. */
function applied(steps: readonly string[][], before: CurrentHelper | null, name: string): CurrentHelper | null {
  let link = before && { ...before, addresses: [...before.addresses], routes: [...before.routes] };
  for (const step of steps) {
    const [what, verb, subject = ''] = step;
    if (what === 'link' && verb === 'delete') link = subject === name ? null : link;
    else if (what === 'link' && verb === 'add') {
      assert.equal(link, null, 'it exists already');
      link = { parent: step[4] ?? '', driver: step[6] ?? '', up: false, addresses: [], routes: [] };
    } else {
      assert.ok(link, `there is no link for ${step.join(' ')}`);
      if (what === 'link') link = { ...link, up: true };
      else if (what === 'address' && verb === 'delete') {
        assert.ok(link.addresses.includes(subject));
        // Routes that begin at an address go with it.
        link = { ...link, addresses: link.addresses.filter((one) => one !== subject), routes: [] };
      } else if (what === 'address') link = { ...link, addresses: [...new Set([...link.addresses, subject])] };
      else if (verb === 'flush') link = { ...link, routes: [] };
      else if (verb === 'delete') link = { ...link, routes: link.routes.filter((one) => one !== subject) };
      else {
        assert.ok(link.up, 'a route needs a link that is up');
        link = { ...link, routes: [...new Set([...link.routes, subject])] };
      }
    }
  }
  return link;
}

const address = fc.integer({ min: 1, max: 254 }).map((last) => `10.0.0.${last}`);
const driver = fc.constantFrom('macvlan', 'ipvlan');
const parent = fc.constantFrom('eth0', 'eth1');
const desired: fc.Arbitrary<DesiredHelper> = fc.record({
  name: fc.constant('helper'),
  other: fc.constant('other'),
  driver: driver as fc.Arbitrary<'macvlan' | 'ipvlan'>,
  parent,
  address,
  deckies: fc.uniqueArray(address, { maxLength: 6 }),
});
const current: fc.Arbitrary<CurrentHelper | null> = fc.option(
  fc.record({
    driver: driver as fc.Arbitrary<string>,
    parent,
    up: fc.boolean(),
    addresses: fc.uniqueArray(
      address.map((one) => `${one}/32`),
      { maxLength: 2 },
    ),
    routes: fc.uniqueArray(address, { maxLength: 6 }),
  }),
);

describe('the helper interface of the engine’s machine', () => {
  // proof: field-4-7
  it('is as it should be after the commands, whatever was there, and then needs none', () => {
    fc.assert(
      fc.property(desired, current, fc.boolean(), (wanted, before, other) => {
        const after = applied(planHelper(wanted, before, other), before, wanted.name);
        assert.ok(after);
        assert.deepEqual(
          { ...after, routes: [...after.routes].sort() },
          {
            driver: wanted.driver,
            parent: wanted.parent,
            up: true,
            addresses: [`${wanted.address}/32`],
            routes: [...wanted.deckies].sort(),
          },
        );
        assert.deepEqual(planHelper(wanted, after, false), []);
      }),
    );
  });

  it('has DECNET’s name on DECNET’s network, and one of its own that the kernel takes on another', () => {
    assert.equal(helperName('decnet_lan', 'macvlan'), 'decnet_macvlan0');
    assert.equal(helperName('decnet_lan', 'ipvlan'), 'decnet_ipvlan0');
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (network) => {
        for (const one of ['macvlan', 'ipvlan'] as const) assert.match(helperName(network, one), /^[a-z0-9_]{1,15}$/);
        assert.notEqual(helperName(network, 'macvlan'), helperName(network, 'ipvlan'));
      }),
    );
    assert.notEqual(helperName('decnet_lan_1', 'macvlan'), helperName('decnet_lan_2', 'macvlan'));
  });
});
