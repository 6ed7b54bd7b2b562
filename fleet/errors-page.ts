/** docs/errors.md, made from the one table of error codes. */
import { ERRORS } from './errors.ts';

const HEAD = `# Error codes

This page is generated from the table in \`fleet/errors.ts\` by \`npm run docs:errors\`; change the table, not the page.

A code is at once the \`type\` of a Temporal failure, the answer header \`Deckhand-Error-Code\`, and the start of a row's
\`error\` (\`Code: sentence\`). *Status* is the HTTP status with which it reaches a client; a dash means that it only ever
ends a row or a workflow. *Again* says whether the same thing, tried again unchanged, may succeed: Temporal retries it.

| code | status | again | what it means, and what to do |
|---|---|---|---|
`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The page as Markdown, ending with a line break. */
export function renderErrorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, retryable, meaning }]) =>
      `| \`${code}\` | ${status ?? '–'} | ${retryable ? 'yes' : 'no'} | ${cell(meaning)} |\n`,
  );
  return HEAD + rows.join('');
}
