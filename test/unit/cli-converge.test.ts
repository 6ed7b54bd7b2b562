import assert from 'node:assert/strict';
import { run } from '../../cli/run.ts';
import { type CapturedIo, capturedIo } from '../support/clients/captured-io.ts';
import { decky, deployment, row } from '../support/clients/cli-rows.ts';
import { type ScriptedAnswer, ScriptedMaster } from '../support/master/scripted-master.ts';

const SINCE = new Date(Date.now() - 120_000).toISOString();
const ENTRY = {
  decky_name: 'web-01',
  host_uuid: 'u-1',
  host_name: 'h1',
  reason: 'missing',
  detail: 'web-01-ssh: it is missing\u001b[2J',
  since: SINCE,
};
const SILENT = { host_uuid: null, host_name: null, why: 'no answer', since: SINCE, deckies: 2 };
const MENDING = { decky_name: 'web-01', host_uuid: null, action: 'deploy', reasons: ['missing', 'exited'] };

describe('cli: convergence', () => {
  let master: ScriptedMaster;
  let io: CapturedIo;
  const answers = (script: Record<string, ScriptedAnswer>): void => {
    master.script = (request) =>
      script[`${request.method} ${request.path.replace('/api/v1', '')}`] ?? {
        status: 404,
        body: { detail: 'Not Found' },
      };
  };
  const text = () => io.lines.join('\n');

  beforeEach(async () => {
    master = await new ScriptedMaster(() => ({ status: 404, body: {} })).start();
    io = capturedIo(master.environment);
  });
  afterEach(() => master.stop());

  it('drift lists each difference, and the engines of which nothing is known', async () => {
    answers({
      'GET /drift': { status: 200, body: { drift: [ENTRY], unknown: [SILENT], reconcile_interval: null } },
    });
    assert.equal(await run(['drift'], io), 0);
    assert.match(text(), /^web-01 +h1 +missing +[\dms]+ +web-01-ssh: it is missing$/m);
    assert.match(text(), /^Unknown: 2 deckies on local, since .*: no answer$/m);
    assert.match(text(), /^Repair it: deckhand reconcile --wait$/m);
  });

  it('status says that something is not as it should be', async () => {
    answers({
      'GET /deployments': { status: 200, body: { deployments: [] } },
      'GET /drift': { status: 200, body: { drift: [ENTRY], unknown: [SILENT], reconcile_interval: null } },
    });
    assert.equal(await run(['status'], io), 0);
    assert.match(text(), /^1 decky not as it should be: deckhand drift$/m);
    assert.match(text(), /^2 deckies unknown, since no answer comes: deckhand drift$/m);
  });

  it('deckies shows drift beside the state', async () => {
    const fleet = { network: null, simulated: false, deckies: [decky('web-01', { drift: ['missing'] })] };
    answers({ 'GET /fleet': { status: 200, body: fleet } });
    assert.equal(await run(['deckies'], io), 0);
    assert.match(text(), /^web-01 +running \(missing\)/m);
  });

  it('reconcile --dry-run says what would be done, and begins nothing', async () => {
    const body = { message: '1 decky/ies would be mended.', mending: [MENDING], unknown: [] };
    answers({ 'POST /reconcile': { status: 200, body } });
    assert.equal(await run(['reconcile', 'web-01', '--host', 'h1', '--dry-run', '--wait'], io), 0);
    assert.match(text(), /^web-01 +local +deploy +missing, exited$/m);
    assert.ok(!text().includes('Accepted'));
  });

  it('reconcile and stop follow their rows with --wait, and fail with them', async () => {
    const body = {
      message: 'Reconcile accepted (1 decky/ies).',
      deployment_id: 'd-1',
      mending: [MENDING],
      unknown: [],
    };
    const headers = { 'deckhand-deployment-id': 'd-1' };
    answers({
      'POST /reconcile': { status: 202, body, headers },
      'POST /deckies/web-01/stop': { status: 202, body: { lifecycle_ids: ['row-web-01'] }, headers },
      'GET /deployments/d-1': { status: 200, body: deployment([row('web-01', 'failed')]) },
    });
    assert.equal(await run(['reconcile', '--wait'], io), 2);
    assert.equal(await run(['stop', 'web-01', '--wait'], io), 2);
    assert.equal(await run(['stop', 'web-01'], io), 0);
    assert.match(text(), /^Accepted\. Follow it: deckhand status d-1 --wait$/m);
  });

  it('reconcile-interval off sends null', async () => {
    answers({ 'PUT /config/reconcile-interval': { status: 200, body: { message: 'Reconcile interval updated' } } });
    assert.equal(await run(['reconcile-interval', 'off'], io), 0);
    assert.match(text(), /by hand only/);
  });

  // proof: field-1.1-3
  it('an interval that is none is refused by a sentence before the master is asked', async () => {
    for (const command of [['reconcile-interval'], ['mutate-interval', 'web-01']])
      for (const interval of ['', '0', '5s', '5 m', '999999999y', 'Off']) {
        io.errors.length = 0;
        assert.equal(await run([...command, interval], io), 255);
        assert.match(
          io.errors.join('\n'),
          /is (no interval|longer than 100 years)\. Write a whole number and m .* Or write off\./,
        );
      }
    assert.deepEqual(master.requests, []);
  });
});
