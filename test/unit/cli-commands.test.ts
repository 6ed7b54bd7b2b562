import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../../cli/run.ts';
import { capturedIo } from '../support/clients/captured-io.ts';
import { ACCEPTED, cliScene, found, scripted } from '../support/clients/cli-fixture.ts';
import { decky, deployment, row } from '../support/clients/cli-rows.ts';

describe('cli commands', () => {
  const on = cliScene();
  const { text } = on;

  // proof: command
  it('--json is one document on standard output, for results and for errors', async () => {
    on.master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': found(deployment([row('web-01', 'succeeded')])),
    });
    assert.equal(await run(['deploy', on.file, '--wait', '--json'], on.io), 0);
    const document = JSON.parse(text());
    assert.deepEqual([document.deployment_id, document.end, document.rows.length], ['d-1', 'ended', 1]);
    const failing = capturedIo(on.master.environment);
    assert.equal(await run(['status', 'unknown', '--json'], failing), 1);
    assert.equal(JSON.parse(failing.lines.join('\n')).error.message, 'Not Found');
    assert.deepEqual(failing.errors, []);
  });

  it('status and deckies print tables and exit 0', async () => {
    const detail = deployment([row('web-01', 'succeeded')]);
    on.master.script = scripted({
      'GET /deployments': found({ deployments: [detail] }),
      'GET /deployments/d-1': found(detail),
      'GET /fleet': found({ network: null, simulated: false, deckies: [decky('web-01')] }),
    });
    for (const args of [['status'], ['status', 'd-1'], ['deckies'], ['status', 'd-1', '--wait']])
      assert.equal(await run(args, on.io), 0);
    assert.match(text(), /DEPLOYMENT +KIND[\s\S]*Deployment d-1[\s\S]*DECKY +STATE[\s\S]*1 succeeded, 0 failed/);
  });

  // proof: command
  it('exits 255 when it could not ask: nothing listens, no stack, wrong password, wrong usage, no file', async () => {
    const gone = { ...on.master.environment };
    await on.master.stop();
    const cases: readonly [string[], NodeJS.ProcessEnv][] = [
      [['status'], gone],
      [['deploy', on.file], gone],
      [['status', '--home', on.folder], {}],
      [['deploy', on.file, '--timeout', 'soon'], gone],
      [['conquer'], gone],
      [['deploy', join(on.folder, 'absent.ini')], gone],
    ];
    for (const [args, environment] of cases) {
      const outside = capturedIo(environment);
      assert.equal(await run(args, outside), 255, args.join(' '));
      assert.notEqual(outside.errors.join(''), '', args.join(' '));
    }
    await on.master.start();
    assert.equal(await run(['status'], capturedIo({ ...gone, DECKHAND_PASSWORD: 'wrong' })), 255);
  });

  it('help is help, not an error', async () => {
    assert.equal(await run(['--help'], on.io), 0);
    for (const word of [
      'deploy',
      'status',
      'deckies',
      'teardown',
      'open',
      'doctor',
      'purge',
      'Exit codes',
      'DECKHAND_TOKEN',
    ])
      assert.ok(text().includes(word), word);
    assert.equal(await run(['deploy', '--help'], on.io), 0);
  });
});
