/** What `npm start` and the command load is made of sources as they are, by whoever comes first, and by tsx where it can't be kept. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LOADABLE = new URL('../../stack/loadable.mjs', import.meta.url).href;

describe('a program made loadable', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'deckhand-loadable-'));
    mkdirSync(join(root, 'node_modules'));
    write('package.json', '{"type":"module"}');
    write('package-lock.json', '{}');
    write('greeter/names.json', '["one"]');
    write('greeter/place.ts', '/** Its own place’s. */\nexport const place: string = import.meta.url;\n');
    write(
      'greeter/main.ts',
      `import names from './names.json' with { type: 'json' };
import { place } from './place.ts';
class Greeting extends Error {}
if (names.length > 2) throw new Greeting('too many');
console.log(names.join(), place);
`,
    );
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const write = (path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const CACHE = 'node_modules/.cache/deckhand';
  const cached = (): string[] => readdirSync(join(root, CACHE)).sort();
  const records = (): string[] => cached().filter((name) => name.endsWith('.json'));
  const made = (): string[] => cached().filter((name) => !name.endsWith('.json'));
  /** It is written anew whenever anything is made. */
  const recorded = (): number => {
    const [record = ''] = records();
    return statSync(join(root, CACHE, record)).ino;
  };

  /** In a process of its own; returns what it printed. */
  async function greet(): Promise<string> {
    const script = `const { runProgram } = await import(${JSON.stringify(LOADABLE)});
      await runProgram('greeter/main.ts', ${JSON.stringify({ root, programs: ['greeter/main.ts'] })});`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
    return stdout.trim();
  }
  const place = (): string => pathToFileURL(join(root, 'greeter/place.ts')).href;

  // proof: bundles
  it('is made once, and each source knows where it lies', async () => {
    assert.equal(await greet(), `one ${place()}`);
    const first = [recorded(), ...made()];
    assert.equal(first.length, 2);
    assert.equal(await greet(), `one ${place()}`);
    assert.deepEqual([recorded(), ...made()], first);
  });

  // proof: bundles
  it('is made anew when a source, or a package’s version, is another', async () => {
    await greet();
    write('greeter/names.json', '["one","two"]');
    assert.equal(await greet(), `one,two ${place()}`);
    write('package-lock.json', '{"lockfileVersion":3}');
    assert.equal(await greet(), `one,two ${place()}`);
    assert.equal(made().length, 3);
  });

  // proof: bundles
  it('is made once where many start at the same time', async () => {
    const printed = await Promise.all(Array.from({ length: 5 }, greet));
    assert.deepEqual(new Set(printed), new Set([`one ${place()}`]));
    assert.equal(made().length, 1);
  });

  it('is made again where what was made is gone or cut short', async () => {
    await greet();
    const [directory = ''] = made();
    rmSync(join(root, CACHE, directory), { recursive: true });
    assert.equal(await greet(), `one ${place()}`);
    for (const record of records()) write(join(CACHE, record), '{"directory"');
    assert.equal(await greet(), `one ${place()}`);
  });

  it('shows the sources’ lines in stack traces, and classes by their names', async () => {
    write('greeter/names.json', '["one","two","three"]');
    await assert.rejects(greet(), ({ stderr }: { stderr: string }) => {
      assert.match(stderr, /greeter\/main\.ts:4/);
      assert.match(stderr, /^Greeting\b.*too many/m);
      return true;
    });
  });

  it('names the file and the line of a source that can’t be read', async () => {
    write('greeter/place.ts', 'export const place: = 1;\n');
    await assert.rejects(greet(), ({ stderr }: { stderr: string }) => /greeter\/place\.ts:1/.test(stderr));
  });

  // proof: bundles
  it('runs by tsx where nothing can be kept', async () => {
    write('node_modules/.cache', 'no directory');
    assert.equal(await greet(), `one ${place()}`);
  });
});
