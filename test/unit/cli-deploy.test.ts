import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../cli/run.ts';
import { ACCEPTED, cliScene, found, inTurn, scripted } from '../support/clients/cli-fixture.ts';
import { decky, deployment, row } from '../support/clients/cli-rows.ts';

describe('cli: deploy', () => {
  const on = cliScene();
  const { text } = on;

  it('deploy --wait prints each change and exits 0 when all succeeded', async () => {
    on.master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': inTurn(
        found(deployment([row('web-01', 'running')])),
        found(deployment([row('web-01', 'succeeded')])),
      ),
    });
    assert.equal(await run(['deploy', on.file, '--wait', '--min-healthy-time', '1s', '--max-parallel', '4'], on.io), 0);
    const [first, second, third, last] = on.io.lines;
    assert.deepEqual(
      [first, second, third],
      ['Accepted: 1 decky (deployment d-1)', 'web-01 running', 'web-01 succeeded 3.2s'],
    );
    assert.match(last ?? '', /^1 succeeded, 0 failed \(/);
    assert.deepEqual(on.io.errors, ['warning: http and https over one port']);
    assert.deepEqual(on.master.requests.find((request) => request.path.endsWith('/deploy'))?.body, {
      ini_content: '[web-01]\nservices = http\n',
      replace_fleet: false,
      max_parallel: 4,
      min_healthy_time: '1s',
    });
  });

  // proof: field-2.6-1
  it('deploy refuses a file that is not UTF-8 with its line and encoding, and sends nothing', async () => {
    const refusals: readonly (readonly [Uint8Array, RegExp])[] = [
      [
        Buffer.from('[web-01]\r\nservices = http\r\n[web-01.http]\r\nserver_header = caf\u00e9\r\n', 'latin1'),
        /fleet\.ini is not UTF-8: line 4 holds the byte 0xE9, as ISO-8859-1 or Windows-1252 has it\. Save the file as UTF-8\./,
      ],
      [Buffer.from([0x5b, 0x61, 0x5d, 0x93]), /line 1 holds the byte 0x93, as Windows-1252 has it/],
      [Buffer.from('\uFEFF[web-01]\n', 'utf16le'), /fleet\.ini is UTF-16 \(little-endian\)\. Save the file as UTF-8\./],
      [Buffer.from('[web-01]\n', 'utf16le').swap16(), /UTF-16 \(big-endian\)/],
    ];
    for (const [bytes, sentence] of refusals) {
      writeFileSync(on.file, bytes);
      assert.equal(await run(['deploy', on.file], on.io), 255);
      assert.match(on.io.errors.at(-1) ?? '', sentence);
    }
    assert.deepEqual(on.master.requests, []);
  });

  it('deploy takes the byte order mark off that an editor put before a file', async () => {
    on.master.script = scripted({ 'POST /deckies/deploy': ACCEPTED });
    writeFileSync(on.file, '\uFEFF[web-01]\nservices = http\n');
    assert.equal(await run(['deploy', on.file], on.io), 0);
    const sent = on.master.requests.find((request) => request.path.endsWith('/deploy'))?.body;
    assert.equal((sent as { ini_content: string }).ini_content, '[web-01]\nservices = http\n');
  });

  it('deploy without --wait exits 0 once it is accepted, and says how to follow it', async () => {
    on.master.script = scripted({ 'POST /deckies/deploy': ACCEPTED });
    assert.equal(await run(['deploy', on.file], on.io), 0);
    assert.match(text(), /Follow it: deckhand status d-1 --wait/);
  });

  it('deploy exits 1 with the sentence and what to do when it is refused', async () => {
    on.master.script = scripted({
      'POST /deckies/deploy': {
        status: 409,
        body: { detail: "decky 'web-01' already exists" },
        headers: { 'deckhand-error-code': 'DeckyExists' },
      },
    });
    assert.equal(await run(['deploy', on.file, '--wait'], on.io), 1);
    assert.match(on.io.errors.join('\n'), /^error: decky 'web-01' already exists\n +Deploy with --add-missing/);
  });

  it('deploy exits 2 with the evidence when some failed, and writes the summary file', async () => {
    const rows = [row('web-01', 'failed'), row('b', 'succeeded')];
    on.master.script = scripted({ 'POST /deckies/deploy': ACCEPTED, 'GET /deployments/d-1': found(deployment(rows)) });
    const summary = join(on.folder, 'summary.json');
    assert.equal(await run(['deploy', on.file, '--wait', '--summary-file', summary], on.io), 2);
    assert.match(text(), /web-01 failed 3\.2s\n {4}ContainerExited: .*\n {4}last lines:/);
    assert.deepEqual(JSON.parse(readFileSync(summary, 'utf8')), { succeeded: 1, failed: 1, unchanged: 0 });
  });

  // proof: promise-7
  it('deploy exits 5 when the wait ended first, saying what is waited for and how to look again', async () => {
    const open = deployment([row('web-01', 'running')], { waiting_for: 'web-01 to stay up, until 06:05' });
    on.master.script = scripted({ 'POST /deckies/deploy': ACCEPTED, 'GET /deployments/d-1': found(open) });
    const summary = join(on.folder, 'summary.json');
    assert.equal(await run(['deploy', on.file, '--wait', '--timeout', '400ms', '--summary-file', summary], on.io), 5);
    assert.equal(existsSync(summary), false, 'a count before the end would be taken for the end');
    assert.match(
      on.io.errors.at(-1) ?? '',
      /^Still running after .*1 decky of 1 to go\. Waiting for: web-01 to stay up, until 06:05\nFollow it: deckhand status d-1/,
    );
  });

  it('deploy exits 130 on Ctrl-C, saying that the deploy goes on', async () => {
    on.master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': () => {
        on.io.interrupt();
        return found(deployment([row('web-01', 'running')]));
      },
    });
    assert.equal(await run(['deploy', on.file, '--wait'], on.io), 130);
    assert.match(
      on.io.errors.at(-1) ?? '',
      /^The deploy goes on, .*\nFollow it: deckhand status d-1 --wait\nCancel it: deckhand cancel d-1$/,
    );
  });

  it('a request that is withdrawn after all is told as refused', async () => {
    const detail = deployment([], { state: 'withdrawn', ended_at: null });
    on.master.script = scripted({ 'POST /deckies/deploy': ACCEPTED, 'GET /deployments/d-1': found(detail) });
    assert.equal(await run(['deploy', on.file, '--wait'], on.io), 1);
  });

  it('the wait outlives an API that is killed and comes back', async () => {
    let seen = 0;
    on.master.script = scripted({
      'POST /deckies/deploy': ACCEPTED,
      'GET /deployments/d-1': () => {
        seen += 1;
        if (seen === 1) return found(deployment([row('web-01', 'running')]));
        if (seen > 2) return found(deployment([row('web-01', 'succeeded')]));
        void on.master.stop().then(async () => {
          await delay(700);
          on.master.tokenGeneration += 1;
          await on.master.start();
        });
        return 'hangUp';
      },
    });
    assert.equal(await run(['deploy', on.file, '--wait'], on.io), 0);
    assert.match(on.io.errors.join('\n'), /does not answer: .*Trying again[\s\S]*The API answers again\./);
    assert.equal(on.master.count('POST', '/api/v1/deckies/deploy'), 1);
  });

  it('a deploy whose answer was lost is sent again under the same key', async () => {
    on.master.script = scripted({
      'POST /deckies/deploy': inTurn('hangUp', { status: 503, headers: { 'retry-after': '0' } }, ACCEPTED),
      'GET /deployments/d-1': found(deployment([row('web-01', 'succeeded')])),
    });
    assert.equal(await run(['deploy', on.file, '--wait'], on.io), 0);
    const keys = on.master.requests
      .filter(({ path }) => path.endsWith('/deploy'))
      .map(({ headers }) => headers['idempotency-key']);
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
    assert.match(keys[0] ?? '', /^[0-9a-f-]{36}$/);
  });

  it('--add-missing deploys nothing when all is there, and counts it as unchanged', async () => {
    on.master.script = scripted({
      'GET /fleet': found({ network: null, simulated: false, deckies: [decky('web-01')] }),
    });
    const summary = join(on.folder, 'summary.json');
    assert.equal(await run(['deploy', on.file, '--add-missing', '--wait', '--summary-file', summary], on.io), 0);
    assert.deepEqual(JSON.parse(readFileSync(summary, 'utf8')), { succeeded: 0, failed: 0, unchanged: 1 });
    assert.equal(on.master.count('POST', '/api/v1/deckies/deploy'), 0);
    assert.equal(text(), '1 decky already there: web-01\nNothing to do.');
  });

  it('--add-missing waits for a deploy that is under way already', async () => {
    const open = { lifecycle_id: 'row-web-01', operation: 'deploy', status: 'running', step: null };
    const fleet = {
      network: null,
      simulated: false,
      deckies: [decky('web-01', { established: false, open: open as never })],
    };
    on.master.script = scripted({
      'GET /fleet': found(fleet),
      'GET /deckies/lifecycle': inTurn(
        found({ rows: [row('web-01', 'running')] }),
        found({ rows: [row('web-01', 'succeeded')] }),
      ),
    });
    assert.equal(await run(['deploy', on.file, '--add-missing', '--wait'], on.io), 0);
    assert.match(text(), /1 decky already under way\nweb-01 running\nweb-01 succeeded/);
  });
});
