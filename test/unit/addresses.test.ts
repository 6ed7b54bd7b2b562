import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addressesOf,
  addressProblem,
  contains,
  formatAddress,
  formatSubnet,
  freeAddresses,
  parseAddress,
  parseSubnet,
} from '../../fleet/addresses.ts';
import { buildDeckies } from '../../fleet/deckies.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { parseIni } from '../../fleet/ini.ts';
import { assertRefused } from '../support/fixtures/planning.ts';

const addresses = (subnet: string): string[] => [...addressesOf(parseSubnet(subnet, 'net'))].map(formatAddress);

describe('addresses', () => {
  it('says what is wrong with a text', () => {
    assert.equal(addressProblem('10.0.0.1'), null);
    assert.equal(addressProblem('10.0.0'), "Expected 4 octets in '10.0.0'");
    assert.equal(addressProblem('10.0.0.256'), "Octet 256 (> 255) not permitted in '10.0.0.256'");
    assert.equal(addressProblem('10.0.0.x'), "Only decimal digits permitted in 'x' in '10.0.0.x'");
    assert.equal(addressProblem('10.0.0.01'), "Leading zeros are not permitted in '01' in '10.0.0.01'");
    assert.equal(addressProblem('10.0.0.'), "Empty octet not permitted in '10.0.0.'");
    assert.equal(addressProblem('10.0.0.1000'), "At most 3 characters permitted in '1000' in '10.0.0.1000'");
    for (const text of ['', '::1', ' 10.0.0.1', '10.0.0.1\n']) assert.notEqual(addressProblem(text), null);
  });

  it('clears host bits, and reads masks', () => {
    assert.equal(formatSubnet(parseSubnet('10.1.2.3/29', 'net')), '10.1.2.0/29');
    assert.equal(formatSubnet(parseSubnet('10.1.2.3/255.255.255.0', 'net')), '10.1.2.0/24');
    assert.equal(formatSubnet(parseSubnet('255.255.255.255/0', 'net')), '0.0.0.0/0');
    for (const text of ['10.0.0.0/33', '10.0.0.0/255.0.255.0', '10.0.0.0/24/1', '10.0.0.0/', 'net', 'fe80::/64'])
      assertRefused(() => parseSubnet(text, '[general] net='), 'InvalidAddress', /^\[general\] net=/);
  });

  it('knows the hosts of small subnets', () => {
    assert.deepEqual(addresses('10.0.0.0/30'), ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(addresses('10.0.0.0/31'), ['10.0.0.0', '10.0.0.1']);
    assert.deepEqual(addresses('10.0.0.7'), ['10.0.0.7']);
  });

  it('property: text and number are the same address', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (address) => {
        assert.equal(parseAddress(formatAddress(address), 'ip'), address);
      }),
    );
  });

  it('property: free addresses are ascending, unique, inside and not taken, and all of them', () => {
    const address = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(address, fc.integer({ min: 22, max: 32 }), fc.array(fc.nat(1024)), (base, prefix, offsets) => {
        const subnet = parseSubnet(`${formatAddress(base)}/${prefix}`, 'net');
        const taken = new Set(offsets.map((offset) => subnet.network + offset));
        const free = [...freeAddresses(subnet, taken)];
        assert.ok(free.every((one, index) => index === 0 || one > (free[index - 1] ?? 0)));
        assert.ok(free.every((one) => contains(subnet, one) && !taken.has(one)));
        assert.equal(free.length, [...addressesOf(subnet)].filter((one) => !taken.has(one)).length);
      }),
    );
  });
});

/** A subnet, and places in it (offsets; they may coincide or lie on the network's own addresses). */
const scenario = fc.integer({ min: 24, max: 30 }).chain((prefix) => {
  const place = fc.integer({ min: 1, max: 2 ** (32 - prefix) - 2 });
  return fc.record({
    prefix: fc.constant(prefix),
    gateway: place,
    host: fc.option(place),
    reserved: fc.array(place, { maxLength: 6 }),
    explicit: fc.uniqueArray(place, { maxLength: 4 }),
    automatic: fc.integer({ min: 1, max: 20 }),
  });
});

describe('allocation', () => {
  it('property: never a forbidden, reserved or explicit address; unique; ascending; PoolExhausted exactly when short', () => {
    const network = parseAddress('10.9.0.0', 'net');
    const at = (offset: number): string => formatAddress(network + offset);
    fc.assert(
      fc.property(scenario, ({ prefix, gateway, host, reserved, explicit, automatic }) => {
        const named = explicit.filter((place) => place !== gateway && place !== host && !reserved.includes(place));
        const sections = [
          ...named.map((place, index) => `[e${index}]\nip=${at(place)}`),
          ...Array.from({ length: automatic }, (_, index) => `[a${index}]`),
        ].map((section) => `${section}\nservices=tftp\n`);
        const busy = new Set([gateway, ...(host === null ? [] : [host]), ...reserved, ...named]);
        const free = 2 ** (32 - prefix) - 2 - busy.size;
        const build = () =>
          buildDeckies(parseIni(sections.join('')), {
            subnet: `10.9.0.0/${prefix}`,
            gateway: at(gateway),
            hostAddresses: host === null ? [] : [at(host)],
            reserved: reserved.map(at),
            random: () => 0,
          }).map(({ config }) => config.ip);
        if (free < automatic) {
          assert.throws(build, (error) => isDeckhandError(error) && error.code === 'PoolExhausted');
          return;
        }
        const ips = build().map((ip) => parseAddress(ip, 'ip') - network);
        const drawn = ips.slice(named.length);
        assert.deepEqual(ips.slice(0, named.length), named);
        assert.ok(drawn.every((place) => place > 0 && place < 2 ** (32 - prefix) - 1 && !busy.has(place)));
        assert.ok(drawn.every((place, index) => index === 0 || place > (drawn[index - 1] ?? 0)));
      }),
    );
  });

  it('names subnet and decky when the pool is short', () => {
    const ini = parseIni('[a]\nservices=ssh\namount=3');
    const options = { subnet: '10.1.2.0/30', gateway: '10.1.2.1', hostAddresses: [], reserved: [], random: () => 0 };
    assertRefused(() => buildDeckies(ini, options), 'PoolExhausted', /10\.1\.2\.0\/30 .* 'a-02'/);
  });

  it('gives .2 to .6 of a /29 to five deckies', () => {
    const ini = parseIni('[a]\nservices=ssh\namount=5');
    const options = { subnet: '10.1.2.3/29', gateway: '10.1.2.1', hostAddresses: [], reserved: [], random: () => 0 };
    assert.deepEqual(
      buildDeckies(ini, options).map(({ config }) => config.ip),
      ['10.1.2.2', '10.1.2.3', '10.1.2.4', '10.1.2.5', '10.1.2.6'],
    );
  });
});
