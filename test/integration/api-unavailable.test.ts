/** PostgreSQL or Temporal out of reach, or no worker: 503 with a sentence, and nothing happens behind the client's back. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { openDatabase } from '../../adapters/postgres/connect.ts';
import { createUsers } from '../../adapters/postgres/users.ts';
import { openTemporal } from '../../adapters/temporal/connection.ts';
import { createDeployments } from '../../operations/submit.ts';
import { ADMIN_PASSWORD, type Answer, createApiHarness, GENERAL } from '../support/master/api-harness.ts';
import { testServers } from '../support/stack/stack.ts';

/** Port 1 of loopback: nobody listens there. */
const NOBODY = '127.0.0.1:1';

function assertUnavailable(answer: Answer, code = 'Unavailable'): void {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.headers.get('deckhand-error-code'), code);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
  assert.deepEqual(Object.keys(answer.json), ['detail']);
}

describe('API: unavailable', () => {
  it('answers 503 while PostgreSQL is away, and 401 stays what it is', async () => {
    const nowhere = openDatabase(`postgres://nobody:x@${NOBODY}/none`);
    const api = await createApiHarness();
    try {
      const token = await api.login('admin', ADMIN_PASSWORD);
      Object.assign(api.deps.users, createUsers(nowhere));
      assertUnavailable(await api.call('GET', '/api/v1/deckies', { token }));
      assertUnavailable(
        await api.call('POST', '/api/v1/auth/login', { body: { username: 'admin', password: ADMIN_PASSWORD } }),
      );
      assert.equal((await api.call('GET', '/api/v1/deckies', { token: 'garbage' })).status, 401);
    } finally {
      await nowhere.end({ timeout: 1 });
      await api.close();
    }
  });

  it('answers 503 until it is prepared, but lives', async () => {
    const api = await createApiHarness({ deps: () => ({ notReady: () => 'The API is starting.' }) });
    try {
      assertUnavailable(await api.call('GET', '/api/v1/deckies', { token: 'x' }));
      assert.equal((await api.call('GET', '/healthz')).status, 200);
      const ready = await api.call('GET', '/readyz');
      assert.deepEqual(
        [ready.status, ready.json],
        [503, { status: 'not ready', checks: { startup: 'The API is starting.', postgres: 'ok' } }],
      );
    } finally {
      await api.close();
    }
  });

  // proof: promise-7
  it('answers 503 instead of waiting for a database that hangs', async () => {
    const api = await createApiHarness({ deps: () => ({ deadlines: { answerMs: 1_000, operationMs: 1_000 } }) });
    try {
      const token = await api.login('admin', ADMIN_PASSWORD);
      Object.assign(api.deps.fleet, { deckies: () => new Promise(() => undefined) });
      assertUnavailable(await api.call('GET', '/api/v1/deckies', { token }));
      assertUnavailable(await api.call('DELETE', '/api/v1/deckies/a', { token }));
    } finally {
      await api.close();
    }
  });

  for (const [what, address] of [
    ['Temporal is away', () => NOBODY],
    ['no worker runs', () => testServers.temporalAddress],
  ] as const)
    it(`answers 503 while ${what}, and withdraws the request`, async () => {
      const kept = process.env.TEMPORAL_ADDRESS;
      process.env.TEMPORAL_ADDRESS = address();
      const temporal = openTemporal('api-test');
      if (kept === undefined) delete process.env.TEMPORAL_ADDRESS;
      else process.env.TEMPORAL_ADDRESS = kept;
      const api = await createApiHarness({
        deps: (sql) => ({
          deployments: createDeployments(sql, temporal, {
            taskQueue: `nobody-${randomUUID()}`,
            acceptTimeoutMs: 2_000,
          }),
        }),
      });
      try {
        const token = await api.login('admin', ADMIN_PASSWORD);
        const body = { ini_content: `${GENERAL}[a]\nservices=ssh\n` };
        assertUnavailable(await api.call('POST', '/api/v1/deckies/deploy', { token, body }), 'Withdrawn');
        const [request] = await api.database.sql`select state from deployments`;
        assert.equal(request?.state, 'withdrawn');
        assert.deepEqual(await api.counts(), { deployments: 1, rows: 0, deckies: 0 });
      } finally {
        await temporal.connection.close();
        await api.close();
      }
    }).timeout(60_000);
});
