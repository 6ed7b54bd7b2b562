import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownDirectory } from '../../stack/home.ts';

describe('a directory of our own', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'deckhand-own-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));
  const place = () => join(home, 'run');

  it('is made for us alone, and found again', () => {
    const path = place();
    ownDirectory(path);
    assert.equal(statSync(path).mode & 0o777, 0o700);
    ownDirectory(path);
  });

  it('is none that others can write to', () => {
    const path = place();
    mkdirSync(path);
    chmodSync(path, 0o777);
    assert.throws(() => ownDirectory(path), /others can write to it\. Remove it/);
  });

  it('is no link, wherever it leads', () => {
    const path = place();
    ownDirectory(`${path}-real`);
    symlinkSync(`${path}-real`, path);
    assert.throws(() => ownDirectory(path), /belongs to another user, or/);
  });

  it('is none of another user', function () {
    // Only root can give a directory away.
    if (process.geteuid?.() !== 0) this.skip();
    const path = place();
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, 65_534, 65_534);
    assert.throws(() => ownDirectory(path), /belongs to another user/);
  });
});
