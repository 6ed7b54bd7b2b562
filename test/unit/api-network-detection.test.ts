import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { detectNetwork, parseDefaultRoute } from '../../engine/host-networks.ts';

const HEADER = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
/** An address as the kernel of this machine prints it. */
const hex = (address: string): string => {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0').toUpperCase());
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('');
};
const route = (name: string, gateway: string, metric = 0, flags = '0003', mask = '00000000'): string =>
  `${name}\t00000000\t${hex(gateway)}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0\n`;
const local = `eth0\t${hex('192.0.2.0')}\t00000000\t0001\t0\t0\t0\t${hex('255.255.255.0')}\t0\t0\t0\n`;

describe('network detection', () => {
  it('finds the default route and its gateway', () => {
    const found = parseDefaultRoute(HEADER + local + route('eth0', '192.0.2.1'));
    assert.deepEqual(found, { interface: 'eth0', gateway: '192.0.2.1' });
  });

  it('takes the default route of lowest metric', () => {
    const found = parseDefaultRoute(HEADER + route('wlan0', '198.51.100.1', 600) + route('eth0', '192.0.2.1', 100));
    assert.deepEqual(found, { interface: 'eth0', gateway: '192.0.2.1' });
  });

  it('finds none where there is none, or one without a gateway, or one that is down', () => {
    assert.equal(parseDefaultRoute(''), null);
    assert.equal(parseDefaultRoute(HEADER + local), null);
    assert.equal(parseDefaultRoute(HEADER + route('tun0', '0.0.0.0', 0, '0001')), null);
    assert.equal(parseDefaultRoute(HEADER + route('eth0', '192.0.2.1', 0, '0002')), null);
  });

  it('is no default route with a mask', () => {
    assert.equal(parseDefaultRoute(HEADER + route('eth0', '192.0.2.1', 0, '0003', hex('128.0.0.0'))), null);
  });

  it('tells what this machine has', async () => {
    const context = await detectNetwork('bridge', '10.200.0.0/24', null);
    assert.equal(context.driver, 'bridge');
    assert.equal(context.bridge_pool, '10.200.0.0/24');
    assert.ok(context.interfaces.length > 0);
    if (context.detected !== null) assert.ok(context.interfaces.includes(context.detected.interface));
  });
});
