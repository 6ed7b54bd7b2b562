/** What of a machine's networks stands in the way of a fleet's network, and which addresses no decky gets. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  contains,
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  type Subnet,
} from '../../fleet/addresses.ts';
import type { FleetNetwork, NetworkDriver } from '../../fleet/config.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import type { EngineNetwork, HostNetworks } from '../../fleet/network.ts';
import type { NetworkContext } from '../../fleet/plan-deploy.ts';
import { assertRefused, carriedOut, EMPTY, plan } from '../support/fixtures/planning.ts';

const DRIVERS: readonly NetworkDriver[] = ['bridge', 'macvlan', 'ipvlan'];
const OWN_BRIDGE = 'br-0123456789ab';

const HOST: HostNetworks = {
  addresses: [
    { interface: 'lo', address: '127.0.0.1', subnet: '127.0.0.1/8' },
    { interface: 'eth0', address: '192.0.2.2', subnet: '192.0.2.2/24' },
    { interface: 'eth0', address: '192.0.2.77', subnet: '192.0.2.77/24' },
    { interface: 'eth1', address: '10.40.0.9', subnet: '10.40.0.9/16' },
    { interface: 'docker0', address: '172.17.0.1', subnet: '172.17.0.1/16' },
    { interface: 'br-aaaaaaaaaaaa', address: '172.20.0.1', subnet: '172.20.0.1/16' },
  ],
  routes: [
    { interface: 'eth0', subnet: '192.0.2.0/255.255.255.0', gateway: null },
    { interface: 'tun0', subnet: '10.60.0.0/255.255.0.0', gateway: '10.59.0.1' },
    { interface: 'eth1', subnet: '10.41.0.0/255.255.0.0', gateway: '10.40.0.1' },
    { interface: '*', subnet: '10.72.0.0/255.255.255.0', gateway: null },
  ],
  engine: [
    { name: 'bridge', subnet: '172.17.0.0/16', interface: 'docker0', own: false },
    { name: 'shop_default', subnet: '172.20.0.0/16', interface: 'br-aaaaaaaaaaaa', own: false },
  ],
};

const context = (driver: NetworkDriver, host: HostNetworks | null = HOST): NetworkContext => ({
  driver,
  host_ip: '192.0.2.2',
  interfaces: ['lo', 'eth0', 'eth1', 'eth2', 'docker0'],
  detected: { interface: 'eth0', subnet: '192.0.2.2/24', gateway: '192.0.2.1' },
  bridge_pool: '10.200.0.0/24',
  host,
});
const withOwn = (own: EngineNetwork | null): HostNetworks => ({
  ...HOST,
  addresses: [...HOST.addresses, { interface: OWN_BRIDGE, address: '10.200.0.1', subnet: '10.200.0.1/24' }],
  routes: [...HOST.routes, { interface: OWN_BRIDGE, subnet: '10.200.0.0/24', gateway: null }],
  engine: own === null ? null : [...(HOST.engine ?? []), own],
});
const general = (lines: string): string => `[general]\n${lines}\n[a]\nservices=ssh\n`;
const on = (driver: NetworkDriver, lines: string, more: Parameters<typeof plan>[1] = {}) =>
  plan(general(lines), { context: context(driver), ...more });

describe('a net that the machine has already', () => {
  const refused: readonly (readonly [net: string, words: RegExp])[] = [
    ['192.0.2.0/24', /overlaps 192\.0\.2\.0\/24 of this machine's interface eth0\. .*DECKHAND_NETWORK=macvlan/],
    ['192.0.2.128/25', /interface eth0/],
    ['192.0.0.0/16', /interface eth0/],
    ['10.40.7.0/24', /interface eth1/],
    ['10.60.5.0/24', /route to 10\.60\.0\.0\/16 by 10\.59\.0\.1 on the interface tun0/],
    ['10.72.0.0/16', /this machine's route to 10\.72\.0\.0\/24, which leads nowhere\. Leave net= out/],
    ['172.17.9.0/24', /Docker network bridge/],
    ['172.20.0.0/16', /Docker network shop_default/],
  ];
  for (const [net, words] of refused)
    it(`is refused for a bridge, by what is in its way: ${net}`, () => {
      assertRefused(
        () => on('bridge', `net=${net}`),
        'NetworkConflict',
        /^Network configuration conflict: \[general\] net=/,
      );
      assertRefused(() => on('bridge', `net=${net}`), 'NetworkConflict', words);
    });

  it('is refused for a bridge also where the engine does not say what it has', () => {
    const host = { ...HOST, engine: null };
    for (const net of ['172.17.9.0/24', '172.20.1.0/24'])
      assertRefused(
        () => on('bridge', `net=${net}`, { context: context('bridge', host) }),
        'NetworkConflict',
        /interface/,
      );
  });

  it('is refused for any driver where another Docker network has it', () => {
    for (const driver of DRIVERS)
      assertRefused(() => on(driver, 'net=172.20.1.0/24\ngw=172.20.1.1'), 'NetworkConflict', /shop_default/);
  });

  it('is what macvlan and ipvlan are for', () => {
    for (const driver of ['macvlan', 'ipvlan'] as const)
      assert.equal(on(driver, 'net=192.0.2.0/24').network.subnet, '192.0.2.0/24');
  });

  it('is no obstacle where nothing is known of the machine', () => {
    for (const host of [null, undefined])
      assert.ok(on('bridge', 'net=192.0.2.0/24', { context: { ...context('bridge'), host: host ?? null } }));
  });

  it('is refused for the pool and the detected subnet too, without a word of net=', () => {
    const crossed = { ...context('bridge'), bridge_pool: '10.40.0.0/24' };
    assertRefused(
      () => on('bridge', '', { context: crossed }),
      'NetworkConflict',
      /conflict: the subnet 10\.40\.0\.0\/24 overlaps/,
    );
  });

  const own = { name: 'decnet_lan', subnet: '10.200.0.0/24', interface: OWN_BRIDGE, own: true };
  for (const [whether, engineOwn] of [
    ['the engine names it', own],
    ['the engine does not answer', null],
  ] as const)
    it(`is the fleet’s own where it is deployed again, and ${whether}`, () => {
      const first = carriedOut(on('bridge', ''));
      const again = context('bridge', withOwn(engineOwn));
      for (const lines of ['', 'net=10.200.0.0/24', 'net=10.200.0.0/24\ngw=10.200.0.9', 'net=10.200.0.0/25'])
        assert.ok(on('bridge', lines, { fleet: first, replace: true, context: again }), lines);
      const gone = { ...first, members: [] };
      assert.equal(on('bridge', '', { fleet: gone, context: again }).network.subnet, '10.200.0.0/24');
    });

  it('is another’s bridge where the fleet’s own is elsewhere', () => {
    const elsewhere: FleetNetwork = { driver: 'bridge', interface: '', subnet: '10.99.0.0/24', gateway: '10.99.0.1' };
    const fleet = { ...EMPTY, network: elsewhere };
    assertRefused(
      () => on('bridge', 'net=10.200.0.0/24', { fleet, context: context('bridge', withOwn(null)) }),
      'NetworkConflict',
      new RegExp(`interface ${OWN_BRIDGE}`),
    );
  });

  // proof: field-2.2-1
  it('stands in the way of a bridge whenever one address is shared, and never else', () => {
    const subnet = fc
      .record({ base: fc.nat({ max: 0x0fffffff }), prefix: fc.integer({ min: 4, max: 30 }) })
      .map(({ base, prefix }) =>
        parseSubnet(
          `${formatAddress(0x0a000000 + (base % 0x01000000))}/${prefix + 4 > 30 ? 30 : Math.max(9, prefix)}`,
          'x',
        ),
      );
    const shares = (a: Subnet, b: Subnet) =>
      [b.network, b.broadcast].some((one) => contains(a, one)) ||
      [a.network, a.broadcast].some((one) => contains(b, one));
    fc.assert(
      fc.property(
        subnet,
        fc.array(subnet, { maxLength: 4 }),
        fc.array(subnet, { maxLength: 4 }),
        (net, some, others) => {
          const host: HostNetworks = {
            addresses: some.map((one, index) => ({
              interface: `i${index}`,
              address: formatAddress(one.network + 1),
              subnet: formatSubnet(one),
            })),
            routes: others.map((one, index) => ({ interface: `r${index}`, subnet: formatSubnet(one), gateway: null })),
            engine: [],
          };
          const crosses = [...some, ...others].some((one) => shares(one, net));
          let code: string | null = null;
          try {
            on('bridge', `net=${formatSubnet(net)}`, { context: context('bridge', host) });
          } catch (error) {
            code = isDeckhandError(error) ? error.code : 'other';
          }
          assert.equal(code, crosses ? 'NetworkConflict' : null);
        },
      ),
    );
  });
});

describe('a net that no machine can have', () => {
  // proof: field-2.2-4
  for (const net of [
    '127.0.0.0/8',
    '127.5.0.0/24',
    '0.0.0.0/0',
    '0.0.0.0/8',
    '0.1.0.0/24',
    '224.0.0.0/24',
    '239.1.0.0/16',
    '240.0.0.0/24',
    '255.255.255.0/24',
    '169.254.0.0/24',
    '128.0.0.0/1',
    '126.0.0.0/7',
    '10.3.0.0/31',
    '10.3.0.4/32',
    '10.3.0.4',
  ])
    it(`is refused for every driver, with a sentence of net=: ${net}`, () => {
      for (const driver of DRIVERS)
        for (const host of [HOST, null])
          assertRefused(
            () => on(driver, `net=${net}`, { context: context(driver, host) }),
            'InvalidAddress',
            /^\[general\] net=/,
          );
    });

  // proof: field-2.3-1
  it('is a /30 no more: it has room for one decky', () => {
    assert.equal(on('bridge', 'net=10.3.0.0/30').deckies[0]?.config.ip, '10.3.0.2');
    assertRefused(
      () => plan(`${general('net=10.3.0.0/30')}[b]\nservices=ssh\n`, { context: context('bridge') }),
      'PoolExhausted',
    );
  });
});

describe('a gateway that nobody named', () => {
  const fleetOn = (network: FleetNetwork) => ({ ...carriedOut(on('bridge', '')), network });

  // proof: field-2.3-3
  it('is implied anew where the fleet’s own does not fit the new net', () => {
    for (const [net, gateway] of [
      ['10.9.0.0/24', '10.9.0.1'],
      ['10.200.0.0/25', '10.200.0.1'],
      ['10.200.0.128/25', '10.200.0.129'],
      ['10.200.0.252/30', '10.200.0.253'],
    ] as const) {
      for (const known of ['10.200.0.1', '10.200.0.128', '10.200.0.252', '10.200.0.255', '10.200.0.127']) {
        const fleet = fleetOn({ driver: 'bridge', interface: '', subnet: '10.200.0.0/24', gateway: known });
        const made = on('bridge', `net=${net}`, { fleet, replace: true, context: context('bridge', null) });
        const [subnet, address] = [parseSubnet(net, 'x'), parseAddress(known, 'x')];
        const fits = address > subnet.network && address < subnet.broadcast;
        assert.equal(made.network.gateway, fits ? known : gateway, `${net} ${known}`);
      }
    }
  });

  it('is the one by which the parent interface goes on', () => {
    const made = on('macvlan', 'interface=eth1\nnet=10.40.0.0/16');
    assert.deepEqual(made.network, {
      driver: 'macvlan',
      interface: 'eth1',
      subnet: '10.40.0.0/16',
      gateway: '10.40.0.1',
    });
    assert.equal(on('macvlan', 'interface=eth1').network.subnet, '10.40.0.0/16');
    assert.equal(on('macvlan', 'net=10.40.0.0/16').network.interface, 'eth1');
  });

  it('warns where the deckies hang on one interface and their net is another’s', () => {
    const { warnings } = on('macvlan', 'interface=eth1\nnet=192.0.2.0/24\ngw=192.0.2.1');
    assert.match(
      warnings.join(),
      /net 192\.0\.2\.0\/24 is that of the interface eth0, but the deckies will be on eth1/,
    );
    assert.deepEqual(on('macvlan', 'interface=eth2\nnet=192.0.2.0/24\ngw=192.0.2.1').warnings, []);
  });
});

describe('an address of the engine’s machine', () => {
  it('is refused where an INI names it, on whatever interface it is', () => {
    const named = (lines: string, ip: string) => `${general(lines)}[b]\nservices=ssh\nip=${ip}\n`;
    const options = { context: context('macvlan') };
    assertRefused(
      () => plan(named('interface=eth1\nnet=10.40.0.0/16', '10.40.0.9'), options),
      'InvalidAddress',
      /this host's own/,
    );
    assertRefused(() => plan(named('', '192.0.2.77'), options), 'InvalidAddress', /this host's own/);
  });

  // proof: field-2.4-1
  it('is never given to a decky, whatever interfaces there are and whatever the deckies had', () => {
    const last = fc.integer({ min: 1, max: 62 });
    const scene = fc.record({
      mine: fc.uniqueArray(last, { minLength: 1, maxLength: 20 }),
      had: fc.uniqueArray(last, { maxLength: 10 }),
      count: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(scene, ({ mine, had, count }) => {
        const at = (number: number) => `10.50.0.${number}`;
        const host: HostNetworks = {
          ...HOST,
          addresses: mine.map((number) => ({
            interface: `veth${number % 3}`,
            address: at(number),
            subnet: `${at(number)}/26`,
          })),
        };
        const ini = `[general]\nnet=10.50.0.0/26\ngw=10.50.0.62\n[d]\nservices=ssh\namount=${count}\n`;
        const before = carriedOut(plan(ini, { context: context('macvlan', null) }));
        const members = before.members.map((one, index) => ({
          ...one,
          desired: { ...one.desired, config: { ...one.desired.config, ip: at(had[index] ?? 1 + index) } },
        }));
        let made: ReturnType<typeof plan>;
        try {
          made = plan(ini, { context: context('macvlan', host), fleet: { ...before, members }, replace: true });
        } catch (error) {
          assert.ok(isDeckhandError(error) && error.code === 'PoolExhausted', String(error));
          return;
        }
        const ips = made.deckies.map(({ config }) => config.ip);
        assert.equal(new Set(ips).size, ips.length);
        for (const ip of ips) assert.ok(!mine.map(at).includes(ip) && parseAddress(ip, 'x') !== 0, ip);
      }),
    );
  });
});
