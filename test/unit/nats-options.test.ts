/** How NATS_URL is read. */
import assert from 'node:assert/strict';
import { natsOptions, withoutCredentials } from '../../adapters/nats/stream.ts';

describe('NATS_URL', () => {
  // proof: field-3.5-7
  for (const [url, options] of [
    ['nats://127.0.0.1:4222', { servers: ['127.0.0.1:4222'] }],
    ['bus:4222', { servers: ['bus:4222'] }],
    ['nats://a:b%40c@bus:4222', { servers: ['bus:4222'], user: 'a', pass: 'b@c' }],
    ['nats://a:100%@bus', { servers: ['bus'], user: 'a', pass: '100%' }],
    ['nats://s3cret@bus:4222', { servers: ['bus:4222'], token: 's3cret' }],
    ['tls://a:b@[::1]:4222', { servers: ['[::1]:4222'], tls: {}, user: 'a', pass: 'b' }],
    ['nats://a:b@one:1, nats://a:b@two:2', { servers: ['one:1', 'two:2'], user: 'a', pass: 'b' }],
  ] as const)
    it(`gives servers and credentials: ${url}`, () => {
      assert.deepEqual(natsOptions(url), options);
      assert.equal(/a:|s3cret/.test(withoutCredentials(url)), false);
    });
});
