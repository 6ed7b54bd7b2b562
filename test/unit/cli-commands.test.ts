import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../cli/run.ts';
import { type CapturedIo, capturedIo } from '../support/captured-io.ts';
import { decky, deployment, row } from '../support/cli-rows.ts';
import { type Script, type ScriptedAnswer, ScriptedMaster } from '../support/scripted-master.ts';

const ACCEPTED: ScriptedAnswer = {
  status: 202,
  body: {
    message: 'Deploy accepted',
    mode: 'unihost',
    lifecycle_ids: ['row-web-01'],
    warnings: ['http and https over one port'],
  },
  headers: { 'deckhand-deployment-id': 'd-1' },
};
const UNKNOWN: ScriptedAnswer = { status: 404, body: { detail: 'Not Found' } };
const found = (body: unknown): ScriptedAnswer => ({ status: 200, body });

describe('cli commands', () => {
  let master: ScriptedMaster;
  let io: CapturedIo;
  let folder: string;
  let file: string;

  const scripted =
    (answers: Record<string, ScriptedAnswer | (() => ScriptedAnswer)>): Script =>
    (request) => {
      const answer = answers[`${request.method} ${request.path.replace('/api/v1', '')}`] ?? UNKNOWN;
      return typeof answer === 'function' ? answer() : answer;
    };
  /** Answers one after the other; the last one again and again. */
  const inTurn =
    (...answers: ScriptedAnswer[]) =>
    () =>
      (answers.length > 1 ? answers.shift() : answers[0]) ?? UNKNOWN;
  const text = () => io.lines.join('\n');

  beforeEach(async () => {
    master = await new ScriptedMaster(() => UNKNOWN).start();
    io = capturedIo(master.environment);
    folder = mkdtempSync(join(tmpdir(), 'deckhand-cli-'));
    file = join(folder, 'fleet.ini');
    writeFileSync(file, '[web-01]\nservices = http\n');
  });
  afterEach(async () => {
    await master.stop();
    rmSync(folder, { recursive: true });
  });

  it('deploy --wait prints each change and exits 0 when all succeeded', async () => {
    master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': inTurn(
        found(deployment([row('web-01', 'running')])),
        found(deployment([row('web-01', 'succeeded')])),
      ),
    });
    assert.equal(await run(['deploy', file, '--wait', '--min-healthy-time', '1s', '--max-parallel', '4'], io), 0);
    const [first, second, third, last] = io.lines;
    assert.deepEqual(
      [first, second, third],
      ['Accepted: 1 decky (deployment d-1)', 'web-01 running', 'web-01 succeeded 3.2s'],
    );
    assert.match(last ?? '', /^1 succeeded, 0 failed \(/);
    assert.deepEqual(io.errors, ['warning: http and https over one port']);
    assert.deepEqual(master.requests.find((request) => request.path.endsWith('/deploy'))?.body, {
      ini_content: '[web-01]\nservices = http\n',
      replace_fleet: false,
      max_parallel: 4,
      min_healthy_time: '1s',
    });
  });

  it('deploy without --wait exits 0 once it is accepted, and says how to follow it', async () => {
    master.script = scripted({ 'POST /deckies/deploy': ACCEPTED });
    assert.equal(await run(['deploy', file], io), 0);
    assert.match(text(), /Follow it: deckhand status d-1 --wait/);
  });

  it('deploy exits 1 with the sentence and what to do when it is refused', async () => {
    master.script = scripted({
      'POST /deckies/deploy': {
        status: 409,
        body: { detail: "decky 'web-01' already exists" },
        headers: { 'deckhand-error-code': 'DeckyExists' },
      },
    });
    assert.equal(await run(['deploy', file, '--wait'], io), 1);
    assert.match(io.errors.join('\n'), /^error: decky 'web-01' already exists\n +Deploy with --add-missing/);
  });

  it('deploy exits 2 with the evidence when some failed, and writes the summary file', async () => {
    const rows = [row('web-01', 'failed'), row('b', 'succeeded')];
    master.script = scripted({ 'POST /deckies/deploy': ACCEPTED, 'GET /deployments/d-1': found(deployment(rows)) });
    const summary = join(folder, 'summary.json');
    assert.equal(await run(['deploy', file, '--wait', '--summary-file', summary], io), 2);
    assert.match(text(), /web-01 failed 3\.2s\n {4}ContainerExited: .*\n {4}last lines:/);
    assert.deepEqual(JSON.parse(readFileSync(summary, 'utf8')), { succeeded: 1, failed: 1, unchanged: 0 });
  });

  it('deploy exits 5 when the wait ended first, saying what is waited for and how to look again', async () => {
    const open = deployment([row('web-01', 'running')], { waiting_for: 'web-01 to stay up, until 06:05' });
    master.script = scripted({ 'POST /deckies/deploy': ACCEPTED, 'GET /deployments/d-1': found(open) });
    const summary = join(folder, 'summary.json');
    assert.equal(await run(['deploy', file, '--wait', '--timeout', '400ms', '--summary-file', summary], io), 5);
    assert.equal(existsSync(summary), false, 'a count before the end would be taken for the end');
    assert.match(
      io.errors.at(-1) ?? '',
      /^Still running after .*1 decky of 1 to go\. Waiting for: web-01 to stay up, until 06:05\nLook at it: deckhand status d-1/,
    );
  });

  it('deploy exits 130 on Ctrl-C, saying that the deploy goes on', async () => {
    master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': () => {
        io.interrupt();
        return found(deployment([row('web-01', 'running')]));
      },
    });
    assert.equal(await run(['deploy', file, '--wait'], io), 130);
    assert.match(io.errors.at(-1) ?? '', /^The deploy goes on, .*\nLook at it: deckhand status d-1 --wait$/);
  });

  it('a request that is withdrawn after all is told as refused', async () => {
    const detail = deployment([], { state: 'withdrawn', ended_at: null });
    master.script = scripted({ 'POST /deckies/deploy': ACCEPTED, 'GET /deployments/d-1': found(detail) });
    assert.equal(await run(['deploy', file, '--wait'], io), 1);
  });

  it('the wait outlives an API that is killed and comes back', async () => {
    let seen = 0;
    master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': () => {
        seen += 1;
        if (seen === 1) return found(deployment([row('web-01', 'running')]));
        if (seen > 2) return found(deployment([row('web-01', 'succeeded')]));
        void master.stop().then(async () => {
          await delay(700);
          master.tokenGeneration += 1;
          await master.start();
        });
        return 'hangUp';
      },
    });
    assert.equal(await run(['deploy', file, '--wait'], io), 0);
    assert.match(io.errors.join('\n'), /does not answer: .*Trying again[\s\S]*The API answers again\./);
    assert.equal(master.count('POST', '/api/v1/deckies/deploy'), 1);
  });

  it('a deploy whose answer was lost is sent again under the same key', async () => {
    master.script = scripted({
      'POST /deckies/deploy': inTurn('hangUp', { status: 503, headers: { 'retry-after': '0' } }, ACCEPTED),
      'GET /deployments/d-1': found(deployment([row('web-01', 'succeeded')])),
    });
    assert.equal(await run(['deploy', file, '--wait'], io), 0);
    const keys = master.requests
      .filter(({ path }) => path.endsWith('/deploy'))
      .map(({ headers }) => headers['idempotency-key']);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
    assert.match(keys[0] ?? '', /^[0-9a-f-]{36}$/);
  });

  it('--add-missing deploys nothing when all is there, and counts it as unchanged', async () => {
    master.script = scripted({ 'GET /fleet': found({ network: null, simulated: false, deckies: [decky('web-01')] }) });
    const summary = join(folder, 'summary.json');
    assert.equal(await run(['deploy', file, '--add-missing', '--wait', '--summary-file', summary], io), 0);
    assert.deepEqual(JSON.parse(readFileSync(summary, 'utf8')), { succeeded: 0, failed: 0, unchanged: 1 });
    assert.equal(master.count('POST', '/api/v1/deckies/deploy'), 0);
    assert.equal(text(), '1 decky already there: web-01\nNothing to do.');
  });

  it('--add-missing waits for a deploy that is under way already', async () => {
    const open = { lifecycle_id: 'row-web-01', operation: 'deploy', status: 'running', step: null };
    const fleet = {
      network: null,
      simulated: false,
      deckies: [decky('web-01', { established: false, open: open as never })],
    };
    master.script = scripted({
      'GET /fleet': found(fleet),
      'GET /deckies/lifecycle': inTurn(
        found({ rows: [row('web-01', 'running')] }),
        found({ rows: [row('web-01', 'succeeded')] }),
      ),
    });
    assert.equal(await run(['deploy', file, '--add-missing', '--wait'], io), 0);
    assert.match(text(), /1 decky on the way already\nweb-01 running\nweb-01 succeeded/);
  });

  it('--json is one document on standard output, for results and for errors', async () => {
    master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': found(deployment([row('web-01', 'succeeded')])),
    });
    assert.equal(await run(['deploy', file, '--wait', '--json'], io), 0);
    const document = JSON.parse(text());
    assert.deepEqual([document.deployment_id, document.end, document.rows.length], ['d-1', 'ended', 1]);
    const failing = capturedIo(master.environment);
    assert.equal(await run(['status', 'unknown', '--json'], failing), 1);
    assert.equal(JSON.parse(failing.lines.join('\n')).error.message, 'Not Found');
    assert.deepEqual(failing.errors, []);
  });

  it('mutate --wait follows the row, and names the services of --services', async () => {
    const bodies: unknown[] = [];
    const answers = scripted({
      'POST /deckies/web-01/mutate': { status: 202, body: { lifecycle_ids: ['d-1'] } },
      'GET /deployments/d-1': found(deployment([row('web-01', 'succeeded', { operation: 'mutate' })])),
    });
    master.script = (request) => {
      if (request.method === 'POST' && request.path.endsWith('/mutate')) bodies.push(request.body);
      return answers(request);
    };
    assert.equal(await run(['mutate', 'web-01', '--services', 'http, ssh', '--wait'], io), 0);
    assert.equal(await run(['mutate', 'web-01'], io), 0);
    assert.deepEqual(bodies, [{ services: ['http', 'ssh'] }, {}]);
    assert.match(text(), /web-01 \(mutate\) succeeded/);
    assert.match(text(), /deckhand status d-1 --wait/);
    assert.equal(await run(['mutate', 'nobody'], io), 1);
  });

  it('mutate-interval sends the interval, and null for off', async () => {
    const bodies: unknown[] = [];
    master.script = (request) => {
      bodies.push(request.body);
      return found({ message: 'Mutation interval updated' });
    };
    assert.equal(await run(['mutate-interval', 'web-01', '30m'], io), 0);
    assert.equal(await run(['mutate-interval', 'web-01', 'off'], io), 0);
    assert.deepEqual(bodies, [{ mutate_interval: '30m' }, { mutate_interval: null }]);
  });

  it('teardown waits for what was not down at once, and counts a lost answer’s 404 as done', async () => {
    master.script = scripted({
      'DELETE /deckies/a': { status: 204 },
      'DELETE /deckies/b': inTurn('hangUp', UNKNOWN),
      'DELETE /deckies/c': { status: 202, body: { lifecycle_ids: ['row-c'] } },
      'GET /deckies/lifecycle': inTurn(
        found({ rows: [row('c', 'running', { operation: 'teardown' })] }),
        found({ rows: [row('c', 'succeeded', { operation: 'teardown' })] }),
      ),
    });
    assert.equal(await run(['teardown', 'a', 'b', 'c', '--wait'], io), 0);
    assert.match(text(), /a is down/);
    assert.match(text(), /b is down/);
    assert.match(text(), /c \(teardown\) succeeded/);
  });

  it('teardown exits 1 for an unknown name and 2 for one that failed', async () => {
    master.script = scripted({
      'DELETE /deckies/c': { status: 202, body: { lifecycle_ids: ['row-c'] } },
      'GET /deckies/lifecycle': found({ rows: [row('c', 'failed', { operation: 'teardown' })] }),
    });
    assert.equal(await run(['teardown', 'nobody', '--wait'], io), 1);
    assert.deepEqual(io.errors, ['nobody: Not Found']);
    assert.equal(await run(['teardown', 'nobody', 'c', '--wait'], io), 2);
  });

  it('teardown --all of no fleet succeeds; no name at all is asked back', async () => {
    master.script = scripted({ 'GET /fleet': found({ network: null, simulated: false, deckies: [] }) });
    assert.equal(await run(['teardown', '--all', '--wait'], io), 0);
    assert.equal(await run(['teardown'], io), 255);
  });

  it('teardown --all is one request, asked again where its answer was lost', async () => {
    master.script = scripted({
      'GET /fleet': found({ network: null, simulated: false, deckies: [decky('a'), decky('b')] }),
      'DELETE /deckies': inTurn('hangUp', { status: 202, body: { lifecycle_ids: ['row-a', 'row-b'] } }),
      'GET /deckies/lifecycle': found({
        rows: ['a', 'b'].map((name) => row(name, 'succeeded', { operation: 'teardown' })),
      }),
    });
    assert.equal(await run(['teardown', '--all', '--wait'], io), 0);
    assert.match(text(), /2 succeeded, 0 failed/);
  });

  it('status and deckies print tables and exit 0', async () => {
    const detail = deployment([row('web-01', 'succeeded')]);
    master.script = scripted({
      'GET /deployments': found({ deployments: [detail] }),
      'GET /deployments/d-1': found(detail),
      'GET /fleet': found({ network: null, simulated: false, deckies: [decky('web-01')] }),
    });
    for (const args of [['status'], ['status', 'd-1'], ['deckies'], ['status', 'd-1', '--wait']])
      assert.equal(await run(args, io), 0);
    assert.match(text(), /DEPLOYMENT +KIND[\s\S]*Deployment d-1[\s\S]*DECKY +STATE[\s\S]*1 succeeded, 0 failed/);
  });

  it('exits 255 when it could not ask: nothing listens, no stack, wrong password, wrong usage, no file', async () => {
    const gone = { ...master.environment };
    await master.stop();
    const cases: readonly [string[], NodeJS.ProcessEnv][] = [
      [['status'], gone],
      [['deploy', file], gone],
      [['status', '--home', folder], {}],
      [['deploy', file, '--timeout', 'soon'], gone],
      [['conquer'], gone],
      [['deploy', join(folder, 'absent.ini')], gone],
    ];
    for (const [args, environment] of cases) {
      const outside = capturedIo(environment);
      assert.equal(await run(args, outside), 255, args.join(' '));
      assert.notEqual(outside.errors.join(''), '', args.join(' '));
    }
    await master.start();
    assert.equal(await run(['status'], capturedIo({ ...gone, DECKHAND_PASSWORD: 'wrong' })), 255);
  });

  it('help is help, not an error', async () => {
    assert.equal(await run(['--help'], io), 0);
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
    assert.equal(await run(['deploy', '--help'], io), 0);
  });
});
