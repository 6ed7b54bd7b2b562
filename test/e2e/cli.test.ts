import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliMaster } from '../support/clients/cli-master.ts';

const FLEET = '[web]\nservices = http\namount = 2\n\n[db]\nservices = mysql\n';

describe('the deckhand command against a master', () => {
  let master: CliMaster;
  let file: string;
  const write = (name: string, ini: string): string => {
    const path = join(master.home, name);
    writeFileSync(path, ini);
    return path;
  };
  const summaryOf = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

  before(async function () {
    this.timeout(180_000);
    master = await CliMaster.start();
    file = write('fleet.ini', FLEET);
  });
  after(async function () {
    this.timeout(60_000);
    await master.stop();
  });

  // proof: command
  it('deploys a fleet, shows it, and follows it again by its id', async () => {
    const summary = join(master.home, 'summary.json');
    const deployed = await master.run('deploy', file, '--wait', '--summary-file', summary);
    assert.equal(deployed.code, 0, deployed.out + deployed.err);
    for (const name of ['web-01', 'web-02', 'db']) assert.match(deployed.out, new RegExp(`^${name} succeeded `, 'm'));
    assert.match(deployed.out, /^3 succeeded, 0 failed \(/m);
    assert.deepEqual(summaryOf(summary), { succeeded: 3, failed: 0, unchanged: 0 });

    const deckies = await master.run('deckies');
    assert.equal(deckies.code, 0);
    assert.match(deckies.out, /^web-01 +running +10\.232\.\d+\.\d+ +http +local/m);

    const id = /deployment ([0-9a-f-]{36})/.exec(deployed.out)?.[1] ?? '';
    const again = await master.run('status', id, '--wait', '--json');
    assert.equal(again.code, 0);
    assert.equal(JSON.parse(again.out).rows.length, 3);
    assert.match((await master.run('status')).out, new RegExp(`^${id} +deploy +succeeded +3 +0 +0 +admin`, 'm'));
  });

  it('--add-missing deploys what is not there, and nothing twice', async () => {
    const more = write('more.ini', `${FLEET}\n[extra]\nservices = ssh\n`);
    const added = await master.run('deploy', more, '--add-missing', '--wait');
    assert.equal(added.code, 0, added.out + added.err);
    assert.match(added.out, /^3 deckies already there: web-01, web-02, db$/m);
    assert.match(added.out, /^1 succeeded, 0 failed, 3 unchanged/m);
    const again = await master.run('deploy', more, '--add-missing', '--wait');
    assert.deepEqual([again.code, again.out.split('\n')[1]], [0, 'Nothing to do.']);
  });

  it('is refused with 1 and the sentence: a name that exists, an unknown service', async () => {
    const exists = await master.run('deploy', file, '--wait');
    assert.equal(exists.code, 1);
    assert.match(exists.err, /decky '[\w-]+' already exists/);
    const unknown = await master.run('deploy', write('bad.ini', '[a]\nservices = teleport\n'), '--json');
    assert.equal(unknown.code, 1);
    assert.match(JSON.parse(unknown.out).error.message, /Unknown service\(s\) in \[a\]: \['teleport'\]/);
    assert.equal((await master.run('teardown', 'nobody')).code, 1);
  });

  // proof: promise-1
  it('the wait outlives an API that is killed and comes back', async () => {
    const deploying = master.begin(
      'deploy',
      write('late.ini', '[late]\nservices = redis\namount = 3\n'),
      '--wait',
      '--min-healthy-time',
      '4s',
    );
    await new Promise<void>((resolve) =>
      deploying.child.stdout?.on('data', (chunk: Buffer) => chunk.toString().includes('running') && resolve()),
    );
    await master.kill('api');
    master.launch('api');
    const { code, out, err } = await deploying.result;
    assert.equal(code, 0, out + err);
    assert.match(err, /does not answer.*\n?.*Trying again/);
    assert.match(out, /^3 succeeded, 0 failed/m);
    await master.untilReady();
  });

  it('exits 130 on Ctrl-C, and the deploy goes on', async () => {
    const deploying = master.begin(
      'deploy',
      write('left.ini', '[left]\nservices = ftp\n'),
      '--wait',
      '--min-healthy-time',
      '3s',
    );
    await new Promise<void>((resolve) =>
      deploying.child.stdout?.on('data', (chunk: Buffer) => chunk.toString().includes('running') && resolve()),
    );
    deploying.child.kill('SIGINT');
    const { code, err } = await deploying.result;
    assert.equal(code, 130);
    const id = /deckhand status ([0-9a-f-]{36}) --wait/.exec(err)?.[1] ?? '';
    assert.equal((await master.run('status', id, '--wait')).code, 0);
  });

  it('tears all down, and finds nothing afterwards', async () => {
    const down = await master.run('teardown', '--all', '--wait');
    assert.equal(down.code, 0, down.out + down.err);
    const fleet = await master.run('deckies', '--json');
    assert.deepEqual(JSON.parse(fleet.out).deckies, []);
  });

  it('exits 255 with a wrong password', async () => {
    const wrong = new Map(Object.entries(master.environment)).get('DECKHAND_PASSWORD') ?? '';
    master.environment.DECKHAND_PASSWORD = `${wrong}x`;
    const { code, err } = await master.run('deckies');
    master.environment.DECKHAND_PASSWORD = wrong;
    assert.equal(code, 255);
    assert.match(err, /does not accept the password of admin/);
  });
});
