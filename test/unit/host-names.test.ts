import assert from 'node:assert/strict';
import {
  BUNDLE_NAME_PATTERN,
  HOST_ADDRESS_PATTERN,
  HOST_NAME_PATTERN,
  isReservedName,
  refuseReservedNames,
} from '../../fleet/hosts.ts';

describe('names of hosts', () => {
  it('have the patterns of the contract', () => {
    const accepts = (pattern: RegExp, text: string) => pattern.test(text);
    for (const name of ['h1', 'H_1.lab-2', 'a'.repeat(64)]) assert.ok(accepts(HOST_NAME_PATTERN, name), name);
    for (const name of ['', '-h', '.h', 'h 1', 'h/1', 'a'.repeat(65), 'h1\n', 'h@1']) {
      assert.ok(!accepts(HOST_NAME_PATTERN, name), name);
    }
    for (const address of ['10.0.0.1', '2001:db8::1', 'host.example'])
      assert.ok(accepts(HOST_ADDRESS_PATTERN, address));
    for (const address of ['', '::1', 'a b', 'x'.repeat(254)]) assert.ok(!accepts(HOST_ADDRESS_PATTERN, address));
    assert.ok(accepts(BUNDLE_NAME_PATTERN, 'edge-1'));
    for (const name of ['Edge', 'edge.1', '-edge', 'a'.repeat(64)]) assert.ok(!accepts(BUNDLE_NAME_PATTERN, name));
  });

  it('of the master itself are reserved, in any spelling that means the same', () => {
    for (const name of ['decnet-master', 'swarmctl', 'SwarmCTL', 'swarmctl.', 'updater', 'Updater@h1', 'updater-2']) {
      assert.ok(isReservedName(name), name);
    }
    for (const name of ['master', 'swarmctl2', 'my-updater', 'h1']) assert.ok(!isReservedName(name), name);
  });

  it('are refused among the further names and as the address too (gaps, D)', () => {
    const reserved = { code: 'HostNameReserved' };
    assert.throws(() => refuseReservedNames({ name: 'DECNET-master' }), reserved);
    assert.throws(() => refuseReservedNames({ name: 'h1', address: 'swarmctl' }), reserved);
    assert.throws(() => refuseReservedNames({ name: 'h1', sans: ['10.0.0.1', 'swarmctl'] }), reserved);
    refuseReservedNames({ name: 'h1', address: '10.0.0.1', sans: ['h1.example'] });
  });
});
