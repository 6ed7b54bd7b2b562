/** Docker's grammar of image references. The vectors are those of github.com/distribution/reference. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatImageReference, parseImageReference } from '../../fleet/image-reference.ts';
import { parseIni } from '../../fleet/ini.ts';
import { assertRefused } from '../support/fixtures/planning.ts';

const parse = (text: string) => parseImageReference(text, 'here');
const SHA256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const lines = (text: string): string[] => text.trim().split(/\s+/);

const VALID = [
  ...lines(`test_com test.com:tag test.com:5000 test.com/repo:tag test:5000/repo test:5000/repo:tag lowercase:Uppercase
    docker/docker library/debian debian docker.io/docker/docker docker.io/library/debian docker.io/debian index.docker.io/docker/docker
    127.0.0.1:5000/docker/docker 127.0.0.1:5000/library/debian 127.0.0.1:5000/debian 192.168.0.1 localhost/x localhost:5000/x:1
    thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a
    sub-dom1.foo.com/bar/baz/quux sub-dom1.foo.com/bar/baz/quux:some-long-tag b.gcr.io/test.example.com/my-app:test.example.com
    xn--n3h.com/myimage:xn--n3h.com xn--7o8h.com/myimage:xn--7o8h.com foo_bar.com:8080 foo/foo_bar.com:8080 foo/foo-bar__baz
    [2001:db8::1]:5000/repo [2001:db8::1]/repo:tag [::1]:5000/r REG.Example/x a/b/c/d/e/f foo/a--b foo.bar/baz-qux`),
  `test:5000/repo:tag@${SHA256}`,
  `repo@${SHA256}`,
  `repo@sha512:${'0123456789abcdef'.repeat(8)}`,
  `${'a/'.repeat(127)}a:tag-puts-this-over-max`,
  `repo:${'t'.repeat(128)}`,
];

const INVALID = [
  ...lines(`:justtag @${SHA256} repo@sha256:ffffffffffffffffffffffffffffffffff validname@invaliddigest:${'ff'.repeat(64)}
    repo@ repo: Uppercase:tag Uppercase/lowercase:tag test:5000/Uppercase/lowercase:tag aa/asdf$$^/aa ${'a/'.repeat(128)}a:tag
    docker/Docker -docker -docker/docker -docker.io/docker/docker docker///docker docker.io/docker/Docker docker.io/docker///docker
    https://github.com/docker/docker https://ghcr.io/foo/bar:1 http:/x/y registry.example/honey/ registry.example/ /x //x x//y
    a/../../127.0.0.1:9099/secret ../x x/.. ./x x/./y .x/y x..y x/y.. _foo foo_ foo___bar foo._bar foo-/x .. .
    registry.example:/x registry.example:port/x reg..example/x -reg.example/x [::1/x [::1]x/y [g::1]/x fe80::1/x user@reg.example/x
    user:pass@reg.example/x x?y x#y x%2e%2e/y x\\y x;y x&y repo:tag:tag repo:.tag repo:-tag repo:${'t'.repeat(129)}
    repo@SHA256:${'0'.repeat(64)} repo@sha256:${'A'.repeat(64)} repo@sha256:${'0'.repeat(65)} repo@${SHA256}@${SHA256}
    ${'0123456789abcdef'.repeat(4)} ${SHA256} sha512:${'ab'.repeat(64)} é/x x/é`),
  '',
  ' ',
  'bb : 1',
  'repo: tag',
  'a b',
  'x\ny',
  'x\ty',
  'x\u0000y',
  'x\r\nHost: evil',
  'x'.repeat(100_000),
];

describe('an image reference', () => {
  it('is read and written back, for every valid vector of the grammar', () => {
    for (const text of VALID) assert.equal(formatImageReference(parse(text)), text);
  });

  it('is refused for every invalid vector of the grammar', () => {
    for (const text of INVALID) assertRefused(() => parse(text), 'InvalidImage', /^here: .* is no image reference: /s);
  });

  it('has a registry where its first part has a dot or a port, or is localhost', () => {
    const domains = ['a/b', 'a.b/c', 'a:1/c', 'localhost/c', 'a', 'a:1', '[::1]:5/x'].map((text) => parse(text).domain);
    assert.deepEqual(domains, [null, 'a.b', 'a:1', 'localhost', null, null, '[::1]:5']);
  });

  const of = (characters: string, least: number, most: number) =>
    fc.string({ unit: fc.constantFrom(...characters), minLength: least, maxLength: most });
  const word = of('abz019', 1, 4);
  const separated = (separators: readonly string[]) =>
    fc
      .tuple(word, fc.array(fc.tuple(fc.constantFrom(...separators), word), { maxLength: 3 }))
      .map(([first, more]) => first + more.flat().join(''));
  const path = fc
    .array(separated(['.', '_', '__', '-', '---']), { minLength: 1, maxLength: 4 })
    .map((all) => all.join('/'));
  const port = fc.option(fc.integer({ min: 0, max: 65_535 })).map((number) => (number === null ? '' : `:${number}`));
  const host = fc.oneof(
    fc.array(separated(['-']), { minLength: 2, maxLength: 4 }).map((all) => all.join('.')),
    fc.constantFrom('localhost', '[::1]', '[2001:DB8::1]', '127.0.0.1', 'REG.Example'),
  );
  const domain = fc.option(fc.tuple(host, port).map((both) => both.join('')));
  const tag = fc.option(fc.tuple(of('aZ0_', 1, 1), of('aZ0_.-', 0, 127)).map((both) => both.join('')));
  const digest = fc.option(of('0123456789abcdef', 64, 64).map((hex) => `sha256:${hex}`));
  const reference = fc
    .record({ domain, path, tag, digest }, { noNullPrototype: true })
    // Without a registry, a first part that looks like one would be read as one.
    .filter(({ domain, path }) => domain !== null || !/^(?:[^/]*\.[^/]*|localhost)\//.test(path));

  // proof: field-2.1-2
  it('round-trips whatever the grammar makes', () => {
    fc.assert(fc.property(reference, (made) => assert.deepEqual(parse(formatImageReference(made)), made)));
  });

  it('never has a part that changes a path, whatever text is given', () => {
    const pieces = fc.constantFrom(
      'a',
      'B',
      '..',
      '.',
      '/',
      '//',
      ':',
      '@',
      '%2e',
      '?',
      '#',
      '\\',
      ' ',
      'http:',
      '[',
      ']',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces).map((all) => all.join('')),
      fc.webUrl(),
    );
    fc.assert(
      fc.property(text, (given) => {
        let accepted: string;
        try {
          accepted = formatImageReference(parse(given));
        } catch {
          return;
        }
        assert.equal(accepted, given);
        assert.match(given, /^[A-Za-z0-9._\-/:@[\]]+$/);
        const url = new URL(`http://engine/images/${given}/json`);
        assert.deepEqual([url.host, url.pathname], ['engine', `/images/${given}/json`]);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('binary= of a custom service', () => {
  const ini = (binary: string) => `[a]\nservices=honey\n\n[custom-honey]\nexec=run\nbinary = ${binary}\n`;

  // proof: field-2.1-1
  it('is refused with section, key and line where it is no image reference', () => {
    for (const text of [
      'registry.example/honey/',
      'https://ghcr.io/foo/bar:1',
      'a/../../127.0.0.1:9099/secret',
      'bb : 1',
    ])
      assertRefused(() => parseIni(ini(text)), 'InvalidImage', /^\[custom-honey\] binary= \(line 6\): /);
  });

  it('names the line in [DEFAULT] where it was inherited from there', () => {
    const text = '[DEFAULT]\nbinary = x y\n[a]\n[custom-honey]\nexec=run\n';
    assertRefused(() => parseIni(text), 'InvalidImage', /^\[custom-honey\] binary= \(line 2\): /);
  });

  it('is taken as it stands where it is one', () => {
    const text = 'registry.example:5000/team/honey:1.2';
    assert.equal(parseIni(ini(text)).custom_services[0]?.image, text);
  });
});
