/**
 * The documentation against the tree: links, headings, paths and scripts that a page, a comment or a message names are there.
 * Each check lists what is wrong with file and line.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Recordings and what npm writes name files of elsewhere. */
const SKIPPED = new Set(['node_modules', 'fixtures', 'histories', 'package-lock.json']);
const COLUMNS = 160;

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const hidden = entry.name.startsWith('.') && entry.name !== '.github' && !entry.name.endsWith('.cjs');
    if (SKIPPED.has(entry.name) || hidden) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [relative(ROOT, path)];
  });
}

const files = filesBelow(ROOT);
const baseNames = new Set(files.map((file) => basename(file)));
const rooms = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
/** Folders that are made by a run and belong to nobody's tree. */
const ignored = readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n');
const pages = files.filter((file) => file.endsWith('.md'));
const sources = files.filter((file) => /\.(ts|mjs|cjs|sql|ya?ml)$/.test(file));

interface Line {
  readonly file: string;
  readonly number: number;
  readonly text: string;
  /** Within a block of code, fenced or indented. */
  readonly isCode: boolean;
}

function linesOf(file: string): Line[] {
  let fenced = false;
  const texts = readFileSync(join(ROOT, file), 'utf8').split('\n');
  return texts.map((text, at) => {
    const isFence = text.trimStart().startsWith('```');
    const isCode = fenced || isFence;
    if (isFence) fenced = !fenced;
    return { file, number: at + 1, text, isCode: isCode || /^ {4}\S/.test(text) };
  });
}

const prose = pages.flatMap(linesOf).filter((line) => !line.isCode);
const written = sources.flatMap(linesOf);
const at = ({ file, number }: Line, what: string): string => `${file}:${number}: ${what}`;

/** As GitHub makes them: lower case, no punctuation, a hyphen for each space. */
const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

const anchors = new Map(
  pages.map((page) => {
    const headings = prose.filter(({ file, text }) => file === page && /^#+ /.test(text));
    return [page, new Set(headings.map(({ text }) => anchorOf(text.replace(/^#+ /, ''))))];
  }),
);

/** What is wrong with a reference to `target`, seen from `file`; null where it resolves. */
function brokenReference(file: string, target: string): string | null {
  const [path = '', anchor] = target.split('#');
  const page = path === '' ? file : join(dirname(file), path);
  if (!existsSync(join(ROOT, page))) return `${target}: there is no ${page}`;
  if (anchor === undefined || anchors.get(page)?.has(anchor)) return null;
  return `${target}: ${page} has no such heading`;
}

/** What the first group that took part has found. */
const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, ...groups]) => groups.find((group) => group !== undefined) ?? '');
const codeSpans = (text: string): string[] => matches(text, /`([^`]+)`/g);
const nothingIn = (wrong: readonly (string | null)[]): void =>
  assert.deepEqual(
    wrong.filter((one) => one !== null),
    [],
  );

describe('the documentation', () => {
  it('has no dead link and no dead anchor', () => {
    const links = prose.flatMap((line) =>
      matches(line.text, /\]\(([^)\s]+)\)|src="([^"]+)"/g)
        .filter((target) => !/^[a-z]+:/.test(target))
        .map((target) => ({ line, target })),
    );
    assert.ok(links.length > 50);
    nothingIn(links.map(({ line, target }) => about(line, brokenReference(line.file, target))));
  });

  it('is cited in code by pages and headings that exist', () => {
    const citations = written.flatMap((line) =>
      matches(line.text, /(?<![\w/*-])((?:[\w-]+\/)*[\w-]+\.md(?:#[\w-]+)?)/g).map((target) => ({ line, target })),
    );
    assert.ok(citations.length > 50);
    nothingIn(citations.map(({ line, target }) => about(line, brokenReference('README.md', target))));
  });

  it('names only pages that exist', () => {
    const named = prose.flatMap((line) =>
      codeSpans(line.text)
        .filter((span) => /^[\w./-]+\.md$/.test(span))
        .map((span) => ({ line, span })),
    );
    assert.ok(named.length > 5);
    nothingIn(
      named.map(({ line, span }) => (existsSync(join(ROOT, span)) ? null : at(line, `there is no page ${span}`))),
    );
  });

  it('names only paths and files of the repository that exist', () => {
    const named = prose.flatMap((line) => codeSpans(line.text).map((span) => ({ line, span })));
    const wrong = named.map(({ line, span }) => (isNoFile(span) ? at(line, `there is no ${span}`) : null));
    assert.ok(named.filter(({ span }) => isPath(span)).length > 50);
    nothingIn(wrong);
  });

  it(`has no line of more than ${COLUMNS} columns outside of tables and code`, () => {
    const long = prose.filter(({ text }) => !text.startsWith('|') && [...text].length > COLUMNS);
    nothingIn(long.map((line) => at(line, `${[...line.text].length} columns`)));
  });

  it('and the code name only npm scripts that exist', () => {
    const scripts = new Set(Object.keys(packageJson.scripts));
    const named = [...pages.flatMap(linesOf), ...written].flatMap((line) =>
      matches(line.text, /npm run (?:-s |--silent )?([\w:-]+)/g).map((script) => ({ line, script })),
    );
    assert.ok(named.length > 20);
    nothingIn(named.map(({ line, script }) => (scripts.has(script) ? null : at(line, `npm run ${script}`))));
  });
});

function about(line: Line, wrong: string | null): string | null {
  return wrong === null ? null : at(line, wrong);
}

/** A code span that names a path of the tree, a page excepted. One with `*`, `<` or `…` stands for several. */
function isPath(span: string): boolean {
  return !span.endsWith('.md') && rooms.has(span.split('/')[0] ?? '') && /^[\w@.-]+\/[\w@./-]*$/.test(span);
}

/** Names of files alone, in sentences about their folder. */
const BARE_SOURCE = /^[a-z][\w-]*\.(ts|mjs|cjs|sql)$/;

function isNoFile(span: string): boolean {
  if (isPath(span)) return !existsSync(join(ROOT, span)) && !ignored.includes(span);
  return BARE_SOURCE.test(span) && !baseNames.has(span);
}
