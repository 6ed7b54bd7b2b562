import assert from 'node:assert/strict';
import fc from 'fast-check';
import { driverOf, type OwnNetwork, relocalize, resolveOwnNetwork } from '../../agent/network.ts';
import type { NetworkContext } from '../../fleet/network.ts';

const own = (
  change: Partial<OwnNetwork['network']> = {},
  hostAddresses: readonly string[] = ['10.7.0.4'],
): OwnNetwork => ({
  network: { driver: 'bridge', interface: '', subnet: '10.7.0.0/24', gateway: '10.7.0.1', ...change },
  hostAddresses,
});
const MASTER = '192.0.2.0/24';
const decky = (name: string, ip = '192.0.2.9') => ({ name, ip });
const place = (names: readonly string[], before: Record<string, string> = {}, network = own()) =>
  relocalize(
    names.map((name) => decky(name)),
    MASTER,
    network,
    new Map(Object.entries(before)),
  );

describe('addresses of a host’s deckies', () => {
  it('are the order’s where its subnet is the host’s own, however it is written', () => {
    const deckies = [decky('a', '10.7.0.200'), decky('b', '10.7.0.5')];
    for (const subnet of ['10.7.0.0/24', '10.7.0.99/24', '10.7.0.0/255.255.255.0'])
      assert.deepEqual(
        [...relocalize(deckies, subnet, own(), new Map()).addresses.values()],
        ['10.7.0.200', '10.7.0.5'],
      );
  });

  it('are never the host’s, the gateway’s or outside, also where the order’s subnet is its own', () => {
    const deckies = [
      decky('host', '10.7.0.4'),
      decky('gateway', '10.7.0.1'),
      decky('out', '10.8.0.9'),
      decky('a', '10.7.0.2'),
    ];
    const { addresses } = relocalize(deckies, '10.7.0.0/24', own(), new Map([['host', '10.7.0.9']]));
    assert.deepEqual(Object.fromEntries(addresses), {
      a: '10.7.0.2',
      host: '10.7.0.9',
      gateway: '10.7.0.3',
      out: '10.7.0.5',
    });
  });

  // proof: field-2.4-3
  it('are never one of the host’s, whatever is ordered and whatever was before', () => {
    const address = fc.integer({ min: 0, max: 31 }).map((last) => `10.7.0.${last}`);
    const scene = fc.record({
      hostAddresses: fc.uniqueArray(address, { maxLength: 8 }),
      ips: fc.array(address, { minLength: 1, maxLength: 12 }),
      before: fc.array(address, { maxLength: 12 }),
      subnet: fc.constantFrom('10.7.0.0/27', MASTER),
    });
    fc.assert(
      fc.property(scene, ({ hostAddresses, ips, before, subnet }) => {
        const deckies = ips.map((ip, index) => decky(`d${index}`, ip));
        const had = new Map(before.map((ip, index) => [`d${index}`, ip]));
        const { addresses, exhausted } = relocalize(
          deckies,
          subnet,
          own({ subnet: '10.7.0.0/27' }, hostAddresses),
          had,
        );
        const given = [...addresses.values()];
        assert.equal(new Set(given).size, given.length);
        assert.equal(given.length + exhausted.length, deckies.length);
        for (const ip of given) assert.ok(![...hostAddresses, '10.7.0.1', '10.7.0.0', '10.7.0.31'].includes(ip), ip);
      }),
    );
  });

  it('are else free ones of its own net, without network, broadcast, gateway and the host', () => {
    assert.deepEqual(Object.fromEntries(place(['a', 'b', 'c']).addresses), {
      a: '10.7.0.2',
      b: '10.7.0.3',
      c: '10.7.0.5',
    });
    const small = place(['a', 'b'], {}, own({ subnet: '10.7.0.0/30' }, []));
    assert.deepEqual([Object.fromEntries(small.addresses), small.exhausted], [{ a: '10.7.0.2' }, ['b']]);
  });

  it('B12: are those that a decky had, then those that the master names in this net', () => {
    const deckies = [decky('new'), decky('named', '10.7.0.50'), decky('greedy', '10.7.0.9'), decky('old')];
    const { addresses } = relocalize(deckies, MASTER, own(), new Map([['old', '10.7.0.9']]));
    assert.deepEqual(Object.fromEntries(addresses), {
      old: '10.7.0.9',
      named: '10.7.0.50',
      new: '10.7.0.2',
      greedy: '10.7.0.3',
    });
  });

  // proof: gap-b12
  it('B12: never change for a decky that stays, and are never given twice', () => {
    const names = fc.uniqueArray(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(names, { minLength: 1, maxLength: 8 }), (sets) => {
        let before = new Map<string, string>();
        for (const set of sets) {
          const { addresses } = relocalize(
            set.map((name) => decky(name)),
            MASTER,
            own(),
            before,
          );
          assert.equal(new Set(addresses.values()).size, set.length);
          for (const [name, ip] of addresses) assert.equal(ip, before.get(name) ?? ip);
          before = new Map(addresses);
        }
      }),
    );
  });

  it('survive what is no address, and what lies outside or is the gateway’s', () => {
    const before = { a: 'nonsense', b: '10.8.0.2', c: '10.7.0.1', d: '10.7.0.255' };
    const { addresses } = place(['a', 'b', 'c', 'd'], before);
    assert.deepEqual([...addresses.values()], ['10.7.0.2', '10.7.0.3', '10.7.0.5', '10.7.0.6']);
    assert.equal(relocalize([decky('a')], 'no subnet', own(), new Map()).addresses.get('a'), '10.7.0.2');
  });
});

describe('the network of a host', () => {
  const context = (change: Partial<NetworkContext> = {}): NetworkContext => ({
    driver: 'macvlan',
    host_ip: '192.168.1.20',
    interfaces: ['lo', 'eth0'],
    detected: { interface: 'eth0', subnet: '192.168.1.20/24', gateway: '192.168.1.1' },
    bridge_pool: '10.201.0.0/24',
    ...change,
  });

  // proof: gap-b12
  it('B15: is ipvlan where the order says so, unless the host is set to bridge', () => {
    const drivers = (['auto', 'macvlan', 'ipvlan', 'bridge'] as const).map((setting) => [
      driverOf(setting, false),
      driverOf(setting, true),
    ]);
    assert.deepEqual(drivers, [
      ['macvlan', 'ipvlan'],
      ['macvlan', 'ipvlan'],
      ['ipvlan', 'ipvlan'],
      ['bridge', 'bridge'],
    ]);
  });

  it('is detected, or the one that was set', () => {
    const detected = { driver: 'macvlan', interface: 'eth0', subnet: '192.168.1.0/24', gateway: '192.168.1.1' };
    assert.deepEqual(resolveOwnNetwork(null, context()), { network: detected, hostAddresses: ['192.168.1.20'] });
    const bridge = context({ driver: 'bridge' });
    assert.equal(resolveOwnNetwork(null, bridge).network.subnet, '10.201.0.0/24');
    assert.deepEqual(resolveOwnNetwork('10.201.7.0/24', bridge).network, {
      driver: 'bridge',
      interface: '',
      subnet: '10.201.7.0/24',
      gateway: '10.201.7.1',
    });
  });

  it('says what to set where it can’t be told', () => {
    assert.throws(() => resolveOwnNetwork(null, context({ detected: null })), /DECKHAND_AGENT_NET/);
  });

  // proof: field-2.2-3
  it('is refused where this host has something in its way, and says what to set', () => {
    const host = {
      addresses: [{ interface: 'eth0', address: '192.168.1.20', subnet: '192.168.1.20/24' }],
      routes: [],
      engine: [],
    };
    const bridge = context({ driver: 'bridge', host });
    assert.throws(
      () => resolveOwnNetwork('192.168.1.0/25', bridge),
      /overlaps 192\.168\.1\.0\/24 of this machine's interface eth0\. .*DECKHAND_AGENT_NET/,
    );
    assert.throws(() => resolveOwnNetwork('127.0.0.0/24', bridge), /reserved for loopback.*DECKHAND_AGENT_NET/);
  });

  it('comes with every address of the host', () => {
    const addresses = ['192.168.1.20', '10.7.0.9'].map((address, index) => ({
      interface: `eth${index}`,
      address,
      subnet: `${address}/24`,
    }));
    const own = resolveOwnNetwork(null, context({ host: { addresses, routes: [], engine: [] } }));
    assert.deepEqual(own.hostAddresses, ['192.168.1.20', '10.7.0.9']);
  });
});
