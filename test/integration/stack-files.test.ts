/** What is on disk when a start comes after a crash. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { lockHolder, tryLock } from '../../lib/file-lock.ts';
import { readJson, writeJson } from '../../lib/files.ts';
import { identify } from '../../lib/process-table.ts';
import { FREE_PORTS, LOOPBACK, PortBook } from '../../stack/claims.ts';
import { loadSecrets, StackHome } from '../../stack/home.ts';

describe('the state directory', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'deckhand-files-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const path = (name: string) => join(directory, name);

  it('holds JSON that is whole, readable by its owner alone, with no scrap beside it', () => {
    writeJson(path('a.json'), { n: 1 });
    writeJson(path('a.json'), { n: 2 });
    assert.deepEqual(readJson(path('a.json'), z.object({ n: z.number() })), { n: 2 });
    assert.equal(statSync(path('a.json')).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['a.json']);
  });

  // proof: supervisor
  it('sets half a file aside instead of failing', () => {
    writeFileSync(path('a.json'), '{"n": 1');
    assert.equal(readJson(path('a.json'), z.object({ n: z.number() })), null);
    assert.equal(readFileSync(path('a.json.broken'), 'utf8'), '{"n": 1');
  });

  it('keeps the instance when state.json is lost, or half of it, or the copy', () => {
    const { instance } = new StackHome(directory);
    writeFileSync(path('state.json'), '{"instance": "');
    assert.equal(new StackHome(directory).instance, instance);
    rmSync(path('state.json'));
    assert.equal(new StackHome(directory).instance, instance);
    writeFileSync(path('instance'), '');
    assert.equal(new StackHome(directory).instance, instance);
    assert.equal(readFileSync(path('instance'), 'utf8').trim(), instance);
  });

  it('keeps the generated password when one file of secrets is lost, and shows it once', () => {
    const home = new StackHome(directory);
    const first = loadSecrets(home, {});
    assert.equal(first.passwordIsNew, true);
    writeFileSync(path('secrets.json'), '');
    const second = loadSecrets(home, {});
    assert.equal(second.adminPassword, first.adminPassword);
    assert.equal(second.passwordIsNew, false);
    assert.equal(statSync(path('secrets.json')).mode & 0o777, 0o600);
  });

  it('takes the user’s own secrets', () => {
    const given = { DECKHAND_ADMIN_USER: 'eve', DECKHAND_ADMIN_PASSWORD: 'correct horse', DECKHAND_JWT_SECRET: 'j' };
    const { adminUser, adminPassword, jwtSecret, passwordIsNew } = loadSecrets(new StackHome(directory), given);
    assert.deepEqual([adminUser, adminPassword, jwtSecret, passwordIsNew], ['eve', 'correct horse', 'j', false]);
  });

  it('is locked by one at a time, and the lock of a dead holder is taken over', () => {
    const lock = path('lock');
    const release = tryLock(lock);
    assert.ok(release);
    assert.equal(tryLock(lock), null);
    assert.equal(lockHolder(lock)?.pid, process.pid);
    release();
    assert.equal(existsSync(lock), false);
    // The pid runs, but it is not the process that took the lock: pids are used again.
    writeFileSync(lock, JSON.stringify({ pid: process.pid, startedAt: 'another boot/1' }));
    assert.ok(tryLock(lock));
    assert.equal(lockHolder(lock)?.startedAt, identify(process.pid)?.startedAt);
  });

  it('is not locked by half a lock file', () => {
    writeFileSync(path('lock'), '{"pid": ');
    assert.ok(tryLock(path('lock')));
  });

  it('looks for free ports where no connection that goes out can be in the way', async () => {
    const ports = new PortBook(new StackHome(directory), false);
    const chosen = await Promise.all((['api', 'nats', 'temporalUi'] as const).map((name) => ports.choose(name, false)));
    const range = '/proc/sys/net/ipv4/ip_local_port_range';
    const [first = 0] = existsSync(range) ? readFileSync(range, 'utf8').split('\t').map(Number) : [FREE_PORTS.to];
    for (const port of chosen)
      assert.ok(port >= FREE_PORTS.from && port < Math.min(first, FREE_PORTS.to), String(port));
    assert.equal(new Set(chosen).size, 3);
  });

  it('remembers ports, and gives way where one is taken', async () => {
    const home = new StackHome(directory);
    const port = await new PortBook(home, false).choose('nats', false);
    assert.equal(await new PortBook(home, false).choose('nats', false), port);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, LOOPBACK, resolve));
    try {
      // Our own server, taken over, keeps its port; a stranger on it makes us go elsewhere.
      assert.equal(await new PortBook(home, false).choose('nats', true), port);
      assert.notEqual(await new PortBook(home, false).choose('nats', false), port);
    } finally {
      other.close();
    }
  });
});
