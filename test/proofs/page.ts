/**
 * docs/proofs.md, made of the claims and of the tags in the tests. A tag is a comment line above a test or a group of tests:
 * `// proof: promise-1, field-1.1-2`. The title is read from what stands below it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SECTIONS } from './claims.ts';

export interface Proof {
  readonly ids: readonly string[];
  readonly file: string;
  /** Null where no title stands below the tag. */
  readonly title: string | null;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TAG = /^\s*\/\/ proof: (.+)$/;
const QUOTED = /'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|\$\{[^}]*\}|[^`\\])*)`/g;
const COLUMNS = 150;

const INTRO = [
  'Each promise and each claim, with the tests that show it.',
  'This page is written by `npm run docs:proofs` from `test/proofs/claims.ts` and from the tags in the tests (`// proof: id` above a test).',
  'All tests named here run with `npm test`, apart from those that a note gives a command for.',
  '*Open* means that nothing in the tree shows it yet, or not all of it.',
].join('\n');

export function findProofs(): Proof[] {
  const files = readdirSync(`${ROOT}/test`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('proofs/'))
    .sort();
  return files.flatMap((name) => proofsIn(`test/${name}`, readFileSync(`${ROOT}/test/${name}`, 'utf8')));
}

export function proofsIn(file: string, source: string): Proof[] {
  const lines = source.split('\n');
  return lines.flatMap((line, index) => {
    const ids = TAG.exec(line)?.[1]
      ?.split(',')
      .map((id) => id.trim());
    return ids ? [{ ids, file, title: titleOf(lines.slice(index + 1)) }] : [];
  });
}

const TEST = /^\s*(describe|it)(\.\w+)?\(/;

/**
 * Of a test its first argument, which may stand a line or two below. Of a loop the title of the first test in it: the
 * formatter moves a comment there. Of a row of a table the longest text in its line.
 */
function titleOf(below: readonly string[]): string | null {
  const isLoop = /^\s*for \(/.test(below[0] ?? '');
  const lines = isLoop ? below.slice(below.findIndex((line) => TEST.test(line))) : below;
  const isTest = TEST.test(lines[0] ?? '');
  const texts = [
    ...lines
      .slice(0, isTest ? 3 : 1)
      .join('\n')
      .matchAll(QUOTED),
  ].map(([, single, double, template]) => (single ?? double ?? template ?? '').replace(/\\(['"`\\])/g, '$1'));
  const title = isTest ? texts[0] : texts.toSorted((one, other) => other.length - one.length)[0];
  return title?.replace(/\$\{[^}]*\}/g, '…') ?? null;
}

/** What is wrong with claims and tags, a sentence each. */
export function problemsOf(proofs: readonly Proof[], sections = SECTIONS): string[] {
  const ids = sections.flatMap(({ claims }) => claims.map(({ id }) => id));
  const tagged = new Set(proofs.flatMap((proof) => proof.ids));
  return [
    ...ids.filter((id, index) => ids.indexOf(id) < index).map((id) => `two claims have the id ${id}`),
    ...ids.filter((id) => !tagged.has(id)).map((id) => `no test has the tag ${id}`),
    ...proofs.filter(({ title }) => title === null).map(({ file, ids: [id] }) => `${file}: no title below ${id}`),
    ...proofs.flatMap((proof) =>
      proof.ids.filter((id) => !ids.includes(id)).map((id) => `${proof.file}: no claim has the id ${id}`),
    ),
  ];
}

export function proofsPage(proofs: readonly Proof[], sections = SECTIONS): string {
  const parts = sections.map(({ title, intro, claims }) => {
    const shown = claims.map(({ id, claim, note }) =>
      [
        wrapped(`- **${claim}**`, '  '),
        ...(note ? [wrapped(`  ${note}`, '  ')] : []),
        ...references(proofs.filter(({ ids }) => ids.includes(id))).map((line) => wrapped(`  - ${line}`, '    ')),
      ].join('\n'),
    );
    return [`## ${title}`, ...(intro ? [wrapped(intro, '')] : []), shown.join('\n')].join('\n\n');
  });
  return `${['# Proofs', INTRO, ...parts].join('\n\n')}\n`;
}

/** One for each file, with the titles of its tests. */
function references(proofs: readonly Proof[]): string[] {
  const files = [...new Set(proofs.map(({ file }) => file))];
  return files.map((file) => {
    const titles = new Set(proofs.filter((proof) => proof.file === file).map(({ title }) => `“${title}”`));
    return `\`${file}\` ${[...titles].join(', ')}`;
  });
}

/** No line is longer than the columns, where a word is not. */
function wrapped(text: string, indent: string): string {
  const lines = [''];
  for (const word of text.split(/(?<=\S) /)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > COLUMNS) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
