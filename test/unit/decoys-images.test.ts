import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { extract } from 'tar-stream';
import { loadBuiltinImages, loadOperatorContexts } from '../../decoys/images.ts';
import { parseLdd } from '../../decoys/node-runtime.ts';
import { DeckhandError } from '../../fleet/errors.ts';

interface Entry {
  readonly mode: number;
  readonly size: number;
  readonly text: string;
}

/** The files of a tar stream; of large ones the size only. */
async function unpack(stream: NodeJS.ReadableStream): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>();
  const archive = extract();
  archive.on('entry', (header, content, next) => {
    const chunks: Buffer[] = [];
    content.on('data', (chunk) => {
      if ((header.size ?? 0) < 100_000) chunks.push(chunk as Buffer);
    });
    content.on('end', () => {
      entries.set(header.name, {
        mode: header.mode ?? 0,
        size: header.size ?? 0,
        text: Buffer.concat(chunks).toString(),
      });
      next();
    });
  });
  const done = new Promise<void>((resolve, reject) => {
    archive.on('finish', () => resolve());
    archive.on('error', reject);
    stream.on('error', reject);
  });
  stream.pipe(archive);
  await done;
  return entries;
}

describe('decoys: images', function () {
  this.timeout(60_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'deckhand-decoy-images-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('every process computes the same tags', async () => {
    const here = await loadBuiltinImages();
    const script = `import { loadBuiltinImages } from './decoys/images.ts';
      const images = await loadBuiltinImages();
      console.log(images.baseImage, images.serviceImage('ssh'));`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { cwd: join(import.meta.dirname, '../..') },
    );
    assert.equal(stdout.trim(), `${here.baseImage} ${here.serviceImage('ssh')}`);
    assert.match(here.baseImage, /^deckhand\/base:[0-9a-f]{16}$/);
  });

  it('knows every selectable service and no other', async () => {
    const images = await loadBuiltinImages();
    assert.match(images.serviceImage('docker_api') ?? '', /^deckhand\/docker_api:[0-9a-f]{16}$/);
    assert.equal(images.serviceImage('sniffer'), undefined);
    assert.equal(images.serviceImage('constructor'), undefined);
    assert.equal(images.context('debian:bookworm-slim'), undefined);
  });

  it('a service’s context is the base and a command', async () => {
    const images = await loadBuiltinImages();
    const context = images.context(images.serviceImage('ssh') ?? '');
    assert.equal(context?.parent, images.baseImage);
    const entries = await unpack(await context.tar());
    assert.deepEqual([...entries.keys()], ['Dockerfile']);
    assert.match(
      entries.get('Dockerfile')?.text ?? '',
      new RegExp(`^FROM ${images.baseImage}\nCMD \\[.*"/decoy/main.mjs","ssh"\\]\n$`),
    );
  });

  it('the base’s context holds Node, what it is linked to, the program and a sleep; it can be made twice', async function () {
    if (process.platform !== 'linux') this.skip();
    const images = await loadBuiltinImages({ cacheDir: join(folder, 'cache') });
    const context = images.context(images.baseImage);
    assert.equal(context?.parent, null);
    const first = await unpack(await context.tar());
    const again = await unpack(await context.tar());
    assert.deepEqual(again, first);
    assert.match(first.get('Dockerfile')?.text ?? '', /^FROM scratch\nCOPY root\/ \/\n/);
    assert.ok((first.get('root/usr/bin/node')?.size ?? 0) > 10_000_000);
    const { stdout } = await promisify(execFile)('ldd', [process.execPath]);
    for (const library of parseLdd(stdout)) assert.ok(first.has(`root${library}`), library);
    assert.match(first.get('root/bin/sleep')?.text ?? '', /^#!\/usr\/bin\/node\n/);
    assert.equal(first.get('root/bin/sleep')?.mode, 0o755);
    assert.ok(first.has('root/decoy/main.mjs') && first.has('root/decoy/protocols/ssh.mjs'));
  });

  it('reads the output of glibc’s and of musl’s ldd', () => {
    const glibc =
      '\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3e)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f44)\n';
    assert.deepEqual(parseLdd(glibc), ['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
    const musl =
      '\t/lib/ld-musl-x86_64.so.1 (0x7f0a)\n\tlibstdc++.so.6 => /usr/lib/libstdc++.so.6 (0x7f0b)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f0a)\n';
    assert.deepEqual(parseLdd(musl), ['/lib/ld-musl-x86_64.so.1', '/usr/lib/libstdc++.so.6']);
  });

  it('an operator’s context takes part by its content, and smtp_relay borrows smtp’s', async () => {
    const root = join(folder, 'templates');
    await mkdir(join(root, 'smtp/files'), { recursive: true });
    await mkdir(join(root, 'no-dockerfile'));
    await writeFile(join(root, 'smtp/Dockerfile'), 'FROM scratch\n');
    await writeFile(join(root, 'smtp/files/a'), 'one');
    const contextOf = await loadOperatorContexts(root);
    assert.equal(contextOf('smtp')?.context, join(root, 'smtp'));
    assert.equal(contextOf('smtp_relay')?.context, join(root, 'smtp'));
    assert.match(contextOf('smtp_relay')?.image ?? '', /^deckhand\/smtp_relay:[0-9a-f]{16}$/);
    assert.equal(contextOf('ssh'), undefined);
    assert.equal(contextOf('no-dockerfile'), undefined);
    await writeFile(join(root, 'smtp/files/a'), await readFile(join(root, 'smtp/files/a')));
    assert.equal((await loadOperatorContexts(root))('smtp')?.image, contextOf('smtp')?.image);
    await writeFile(join(root, 'smtp/files/a'), 'two');
    assert.notEqual((await loadOperatorContexts(root))('smtp')?.image, contextOf('smtp')?.image);
  });

  it('a templates folder that is not there is said to be so', () =>
    assert.rejects(loadOperatorContexts(join(folder, 'nowhere')), (error: unknown) => {
      assert.ok(error instanceof DeckhandError);
      assert.equal(error.code, 'ImageUnavailable');
      return /DECKHAND_TEMPLATES/.test(error.message);
    }));
});
