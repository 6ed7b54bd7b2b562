/** A newcomer's first command: clone, `npm start -- --once`. Installs the packages for real, so it needs a registry. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../stack/root.ts';
import { onEngine, processesOf } from '../support/stack/leftovers.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { StackProcess } from '../support/stack/stack-process.ts';

describe('npm start -- --once in a fresh clone', () => {
  let root = '';
  const own = `newcomer${process.pid}`;
  before(() => {
    const place = testDirectory('newcomer');
    // The database's user passes through; in a place that it can't reach, the cluster would move to /var/lib/deckhand.
    chmodSync(place, 0o711);
    root = join(place, 'deckhand');
    if (existsSync(join(ROOT, '.git')))
      execFileSync('git', ['clone', '--quiet', '--depth', '1', `file://${ROOT}`, root]);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  async function once(context: Mocha.Context, ...args: string[]): Promise<StackProcess> {
    context.timeout(600_000);
    if (!existsSync(root)) context.skip();
    const home = join(root, '.deckhand');
    const env = { DECKHAND_PROJECT: own, DECKHAND_TASK_QUEUE: own };
    const stack = new StackProcess({ root, home, args: ['--once', ...args], env });
    const code = await stack.ended();
    assert.match(stack.lastLine, /^[1-9]\d* succeeded, 0 failed$/, stack.output);
    assert.equal(code, 0);
    const instance = readFileSync(join(home, 'instance'), 'utf8').trim();
    assert.deepEqual(processesOf(instance), []);
    assert.deepEqual(await onEngine(instance), []);
    assert.equal(existsSync(join(home, 'stack.json')), false);
    return stack;
  }

  // proof: fresh-clone
  it('deploys the quickstart fleet, and leaves no container, network or process', async function () {
    assert.equal(existsSync(join(root, 'node_modules')), false);
    assert.match((await once(this)).output, /packages: installed/);
  });

  it('spreads it over three agents with --agents 3', async function () {
    const { output } = await once(this, '--agents', '3');
    for (const number of [1, 2, 3]) assert.match(output, new RegExp(`on agent-${number} succeeded`), output);
  });
});
