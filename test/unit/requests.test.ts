import { strict as assert } from 'node:assert';
import { type LockedRequest, parseRequest } from '../../adapters/postgres/deployments.ts';
import type { RequestKind } from '../../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../../fleet/limits.ts';

const stored = (kind: RequestKind, request: unknown, network: unknown = null): LockedRequest => ({
  id: 'id',
  kind,
  workflowId: 'deploy/id',
  state: 'received',
  username: 'admin',
  options: ROLLOUT_DEFAULTS,
  mode: null,
  warnings: [],
  refusal: null,
  ended: false,
  request,
  network,
});

describe('a stored request', () => {
  it('reads with defaults for what an earlier version did not store', () => {
    assert.deepEqual(parseRequest(stored('mutate', { decky_name: 'a', services: null })).request, {
      decky_name: 'a',
      services: null,
      trigger: 'operator',
    });
    assert.deepEqual(parseRequest(stored('reconcile', { deckies: null, host: null })).request, {
      deckies: null,
      host: null,
      returned: false,
    });
    assert.deepEqual(parseRequest(stored('teardown', { host_uuid: null })).request, { host_uuid: null, owed: false });
  });

  it('of a teardown names one decky or a host', () => {
    assert.deepEqual(parseRequest(stored('teardown', { decky_name: 'a' })).request, { decky_name: 'a' });
    assert.deepEqual(parseRequest(stored('teardown', { host_uuid: 'h', owed: true })).request, {
      host_uuid: 'h',
      owed: true,
    });
  });

  it('of a deploy reads without the networks of the machine', () => {
    const network = { driver: 'bridge', host_ip: null, interfaces: ['lo'], detected: null, bridge_pool: null };
    const request = { ini_content: '[a]', replace_fleet: false };
    const parsed = parseRequest(stored('deploy', request, network));
    assert.deepEqual(
      [parsed.kind, parsed.request, 'network' in parsed && parsed.network],
      ['deploy', request, network],
    );
  });

  it('that does not fit its kind is InvalidRequest, so that acceptance refuses it', () => {
    for (const request of [null, {}, { decky_name: 1 }])
      assert.throws(() => parseRequest(stored('stop', request)), { code: 'InvalidRequest' });
    assert.throws(() => parseRequest(stored('deploy', { ini_content: '', replace_fleet: true })), {
      code: 'InvalidRequest',
    });
  });
});
