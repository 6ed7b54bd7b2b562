import assert from 'node:assert/strict';
import { run } from '../../cli/run.ts';
import { cliScene, found, inTurn, scripted, UNKNOWN } from '../support/clients/cli-fixture.ts';
import { decky, deployment, row } from '../support/clients/cli-rows.ts';

describe('cli: mutate, mutate-interval and teardown', () => {
  const on = cliScene();
  const { text } = on;

  it('mutate --wait follows the row, and names the services of --services', async () => {
    const bodies: unknown[] = [];
    const answers = scripted({
      'POST /deckies/web-01/mutate': {
        status: 202,
        headers: { 'deckhand-deployment-id': 'd-1' },
        body: { lifecycle_ids: ['l-1'] },
      },
      'GET /deployments/d-1': found(deployment([row('web-01', 'succeeded', { operation: 'mutate' })])),
    });
    on.master.script = (request) => {
      if (request.method === 'POST' && request.path.endsWith('/mutate')) bodies.push(request.body);
      return answers(request);
    };
    assert.equal(await run(['mutate', 'web-01', '--services', 'http, ssh', '--wait'], on.io), 0);
    assert.equal(await run(['mutate', 'web-01'], on.io), 0);
    assert.deepEqual(bodies, [{ services: ['http', 'ssh'] }, {}]);
    assert.match(text(), /web-01 \(mutate\) succeeded/);
    assert.match(text(), /deckhand status d-1 --wait/);
    assert.equal(await run(['mutate', 'nobody'], on.io), 1);
  });

  it('mutate --json names the deployment, which can be followed and cancelled', async () => {
    const accepted = { lifecycle_ids: ['l-1'], deployment_id: 'd-1' };
    on.master.script = scripted({
      'POST /deckies/web-01/mutate': {
        status: 202,
        headers: { 'deckhand-deployment-id': accepted.deployment_id },
        body: { lifecycle_ids: accepted.lifecycle_ids },
      },
    });
    assert.equal(await run(['mutate', 'web-01', '--json'], on.io), 0);
    assert.deepEqual(JSON.parse(text()), accepted);
  });

  it('mutate-interval sends the interval, and null for off', async () => {
    const bodies: unknown[] = [];
    on.master.script = (request) => {
      bodies.push(request.body);
      return found({ message: 'Mutation interval updated' });
    };
    assert.equal(await run(['mutate-interval', 'web-01', '30m'], on.io), 0);
    assert.equal(await run(['mutate-interval', 'web-01', 'off'], on.io), 0);
    assert.deepEqual(bodies, [{ mutate_interval: '30m' }, { mutate_interval: null }]);
  });

  it('teardown waits for what was not down at once, and counts a lost answer’s 404 as done', async () => {
    on.master.script = scripted({
      'DELETE /deckies/a': { status: 204 },
      'DELETE /deckies/b': inTurn('hangUp', UNKNOWN),
      'DELETE /deckies/c': { status: 202, body: { lifecycle_ids: ['row-c'] } },
      'GET /deckies/lifecycle': inTurn(
        found({ rows: [row('c', 'running', { operation: 'teardown' })] }),
        found({ rows: [row('c', 'succeeded', { operation: 'teardown' })] }),
      ),
    });
    assert.equal(await run(['teardown', 'a', 'b', 'c', '--wait'], on.io), 0);
    assert.match(text(), /a is down/);
    assert.match(text(), /b is down/);
    assert.match(text(), /c \(teardown\) succeeded/);
  });

  it('teardown exits 1 for an unknown name and 2 for one that failed', async () => {
    on.master.script = scripted({
      'DELETE /deckies/c': { status: 202, body: { lifecycle_ids: ['row-c'] } },
      'GET /deckies/lifecycle': found({ rows: [row('c', 'failed', { operation: 'teardown' })] }),
    });
    assert.equal(await run(['teardown', 'nobody', '--wait'], on.io), 1);
    assert.deepEqual(on.io.errors, ['nobody: Not Found']);
    assert.equal(await run(['teardown', 'nobody', 'c', '--wait'], on.io), 2);
  });

  it('teardown --all of no fleet succeeds; no name at all is asked back', async () => {
    on.master.script = scripted({ 'GET /fleet': found({ network: null, simulated: false, deckies: [] }) });
    assert.equal(await run(['teardown', '--all', '--wait'], on.io), 0);
    assert.equal(await run(['teardown'], on.io), 255);
  });

  it('teardown --all is one request, asked again where its answer was lost', async () => {
    on.master.script = scripted({
      'GET /fleet': found({ network: null, simulated: false, deckies: [decky('a'), decky('b')] }),
      'DELETE /deckies': inTurn('hangUp', { status: 202, body: { lifecycle_ids: ['row-a', 'row-b'] } }),
      'GET /deckies/lifecycle': found({
        rows: ['a', 'b'].map((name) => row(name, 'succeeded', { operation: 'teardown' })),
      }),
    });
    assert.equal(await run(['teardown', '--all', '--wait'], on.io), 0);
    assert.match(text(), /2 succeeded, 0 failed/);
  });
});
