/** What `npm start` says and asks: one line per part. */
import { createInterface } from 'node:readline/promises';
import pc from 'picocolors';

const WIDTH = 10;

// A pipe gets plain text, on CI too: picocolors takes the variable CI for a terminal.
const { bold } = pc.createColors(pc.isColorSupported && process.stdout.isTTY === true);

export const sayFor =
  (part: string) =>
  (line: string): void => {
    console.log(`${bold(part.padEnd(WIDTH))} ${line}`);
  };

/** Yes at once with --yes, or where there is no terminal to ask on. */
export async function confirm(question: string, assumeYes: boolean): Promise<boolean> {
  if (assumeYes || !process.stdin.isTTY || !process.stdout.isTTY) return true;
  const asked = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await asked.question(`${question} [y/N] `)).trim());
  } finally {
    asked.close();
  }
}
