/** The download of a release archive can't be tried against its site in every run: a server of our own stands in for it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedBinary, isExecutable, provideBinary } from '../../stack/binaries.ts';
import { type Archive, downloadArchive } from '../../stack/nats.ts';

const SCRIPT = '#!/bin/sh\necho release\n';

describe('a release archive', () => {
  let directory = '';
  let server: Server;
  let archive: Archive;
  const cacheBefore = process.env.XDG_CACHE_HOME;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'deckhand-archive-'));
    process.env.XDG_CACHE_HOME = join(directory, 'cache');
    mkdirSync(join(directory, 'release'));
    writeFileSync(join(directory, 'release', 'server'), SCRIPT);
    chmodSync(join(directory, 'release', 'server'), 0o755);
    execFileSync('tar', ['-czf', 'release.tar.gz', 'release/server'], { cwd: directory });
    const bytes = readFileSync(join(directory, 'release.tar.gz'));
    server = createServer((request, response) => {
      response.statusCode = request.url === '/release.tar.gz' ? 200 : 404;
      response.end(response.statusCode === 200 ? bytes : 'no such release');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    archive = {
      url: `http://127.0.0.1:${port}/release.tar.gz`,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      member: 'release/server',
    };
  });
  after(() => {
    server.close();
    if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cacheBefore;
    rmSync(directory, { recursive: true, force: true });
  });

  const provide = (name: string, given: Archive | null, said: string[] = []) =>
    provideBinary(name, '1', [downloadArchive('the archive', given)], (line) => said.push(line));

  it('is unpacked into the cache when its digest is the pinned one, and nothing else is left there', async () => {
    const path = await provide('good', archive);
    assert.equal(execFileSync(path, { encoding: 'utf8' }), 'release\n');
    assert.deepEqual(
      readdirSync(join(path, '..')).filter((name) => name.startsWith('good')),
      ['good-1'],
    );
  });

  it('is thrown away when its digest is another one, and the sentence names both', async () => {
    const wrong = '0'.repeat(64);
    await assert.rejects(provide('forged', { ...archive, sha256: wrong }), (error: Error) => {
      assert.ok(error.message.includes(archive.sha256) && error.message.includes(wrong), error.message);
      return true;
    });
    assert.equal(isExecutable(cachedBinary('forged', '1')), false);
  });

  it('that is not there leaves the next way open', async () => {
    const said: string[] = [];
    const path = await provideBinary(
      'second',
      '1',
      [downloadArchive('the lost one', { ...archive, url: `${archive.url}x` }), downloadArchive('the other', archive)],
      (line) => said.push(line),
    );
    assert.ok(isExecutable(path));
    assert.deepEqual(said, ['the lost one', 'the lost one: did not work', 'the other']);
  });

  it('is not tried where none is pinned for the platform', async () => {
    await assert.rejects(provide('none', null), /no archive is pinned for/);
  });

  it('is got once by two that want it at the same time', async () => {
    let made = 0;
    const way = {
      title: 'by hand',
      async obtain(scratch: string) {
        made += 1;
        await new Promise((resolve) => setTimeout(resolve, 300));
        writeFileSync(join(scratch, 'x'), SCRIPT);
        return join(scratch, 'x');
      },
    };
    const both = await Promise.all([1, 2].map(() => provideBinary('shared', '1', [way], () => {})));
    assert.equal(both[0], both[1]);
    assert.equal(made, 1);
  });
});
