/** A stranger's first minute: clone, `npm start`. Installs the packages for real, so it needs a registry. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../stack/root.ts';
import { testDirectory } from '../support/stack.ts';
import { StackProcess } from '../support/stack-process.ts';

describe('a fresh clone', () => {
  it('deploys a fleet by one command', async function () {
    this.timeout(600_000);
    if (!existsSync(join(ROOT, '.git'))) this.skip();
    const place = testDirectory('clone');
    // The database's user passes through; in a place that it can't reach, the cluster would move to /var/lib/deckhand.
    chmodSync(place, 0o711);
    const root = join(place, 'deckhand');
    execFileSync('git', ['clone', '--quiet', '--depth', '1', `file://${ROOT}`, root]);
    assert.equal(existsSync(join(root, 'node_modules')), false);
    const fleet = join(root, 'one.ini');
    writeFileSync(fleet, '[clone-a]\nservices = http\n');
    const stack = new StackProcess({
      root,
      home: join(root, '.deckhand'),
      args: ['--fleet', fleet, '--once'],
      env: { DECKHAND_PROJECT: `clone${process.pid}` },
    });
    const code = await stack.ended();
    assert.equal(stack.lastLine, '1 succeeded, 0 failed', stack.output);
    assert.equal(code, 0);
    assert.match(stack.output, /packages: installed/);
  });
});
