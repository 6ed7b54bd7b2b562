import assert from 'node:assert/strict';
import { cidrRange, firstFree, routedRanges } from '../../stack/claims.ts';

const POOLS = ['10.200.0.0/24', '10.201.0.0/24', '10.202.0.0/24'];
/** As the kernel prints /proc/net/route: a default route, 192.0.2.0/24, and 10.200.0.0/24 on a bridge without a carrier. */
const TABLE = [
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
  'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
  'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
  'br-1\t0000C80A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
  '',
].join('\n');

describe('the subnet of the fleet’s bridge', () => {
  it('reads routes, and leaves the default route out', () => {
    assert.deepEqual(routedRanges(TABLE), [cidrRange('192.0.2.0/24'), cidrRange('10.200.0.0/24')]);
  });

  it('is the first that no route overlaps', () => {
    assert.equal(firstFree(POOLS, routedRanges(TABLE)), '10.201.0.0/24');
    assert.equal(firstFree(POOLS, []), '10.200.0.0/24');
  });

  it('keeps clear of a larger network around it and of a smaller one inside it', () => {
    assert.equal(firstFree(POOLS, [cidrRange('10.200.0.0/15')]), '10.202.0.0/24');
    assert.equal(firstFree(POOLS, [cidrRange('10.200.0.17/32')]), '10.201.0.0/24');
  });

  it('is none when all are taken', () => {
    assert.equal(firstFree(POOLS, [cidrRange('10.0.0.0/8')]), null);
  });
});
