import assert from 'node:assert/strict';
import { Hono } from 'hono';
import type { ApiEnv } from '../../api/environment.ts';
import { isLoopback } from '../../api/peer.ts';
import { operatorAccess } from '../../api/swarm/app.ts';
import { controllerNames } from '../../api/swarm/controller.ts';
import { isDeckhandError } from '../../fleet/errors.ts';

describe('the gate of the operator routes', () => {
  const app = new Hono<ApiEnv>();
  app.onError((error, c) => c.json({ detail: error.message }, isDeckhandError(error) ? 403 : 500));
  app.get(
    '/',
    operatorAccess(async () => new Set()),
    (c) => c.text('in'),
  );
  const from = (remoteAddress: string) => app.request('/', {}, { incoming: { socket: { remoteAddress } } } as never);

  it('lets this machine in without a certificate, and nobody else (hosts: from elsewhere, without a certificate)', async () => {
    for (const address of ['127.0.0.1', '127.8.7.6', '::1', '::ffff:127.0.0.1'])
      assert.equal((await from(address)).status, 200, address);
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fe80::1', '127.0.0.1.example', '']) {
      const answer = await from(address);
      assert.equal(answer.status, 403, address);
      assert.deepEqual(await answer.json(), { detail: 'operator certificate required' });
    }
  });

  it('an unknown peer is not this machine', () => {
    assert.equal(isLoopback(null), false);
  });
});

describe('names of the swarm controller', () => {
  it('what was given comes first, then what it listens on', () => {
    assert.deepEqual(controllerNames('192.0.2.1', undefined), ['192.0.2.1']);
    assert.deepEqual(controllerNames('192.0.2.1', 'master.example'), ['master.example', '192.0.2.1']);
    assert.equal(controllerNames('0.0.0.0', 'master.example')[0], 'master.example');
  });

  it('who listens everywhere is reached at an address of this machine', () => {
    const [first] = controllerNames('0.0.0.0', undefined);
    assert.match(first, /^\d+\.\d+\.\d+\.\d+$/);
    assert.notEqual(first, '0.0.0.0');
  });
});
