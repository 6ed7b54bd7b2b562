/** Rows of the contract's tables, as tests with the row's name: by a request here, or by a test elsewhere that shows what is heavy. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const held = { here: 0, elsewhere: 0 };
const missed: string[] = [];

async function counted(id: string, where: keyof typeof held, work: () => unknown): Promise<void> {
  try {
    await work();
    held[where] += 1;
  } catch (error) {
    missed.push(id);
    throw error;
  }
}

/** A row that a request here shows. `id`: page, section, row or bullet, as in `wire 1.3 row 2`. */
export function row(id: string, says: string, work: () => Promise<unknown>): void {
  it(`${id}: ${says}`, () => counted(id, 'here', work));
}

/** A row that needs containers, processes or time: the test that shows it runs in its own room, and must exist. */
export function shownBy(id: string, says: string, file: string, title: string): void {
  it(`${id}: ${says}`, () =>
    counted(id, 'elsewhere', () => {
      const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
      assert.ok(text.includes(title), `${file} has no test “${title}”`);
    }));
}

// Files that import this are loaded at the root: it runs once, when all are through.
after(() => {
  const all = held.here + held.elsewhere;
  const where = `${held.here} by requests here, ${held.elsewhere} by a test of another room that is named`;
  console.log(`\n${all} of ${all + missed.length} rows of the tables hold: ${where}.`);
  for (const id of missed) console.log(`  does not hold: ${id}`);
});

interface Answered {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  readonly json: any;
}

/** Status, and the sentence where one is wanted. */
export function answers<A extends Answered>(answer: A, status: number, detail?: RegExp | string): A {
  assert.equal(answer.status, status, answer.text);
  if (typeof detail === 'string') assert.equal(answer.json?.detail, detail);
  else if (detail !== undefined) assert.match(answer.json?.detail ?? answer.text, detail);
  return answer;
}

export const keysOf = (value: object): string[] => Object.keys(value).sort();
