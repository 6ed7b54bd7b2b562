/** What `doctor` found, a line a part. Pure. */
import type { Colours } from './io.ts';
import { indented, oneLine } from './text.ts';

export interface DoctorFinding {
  readonly part: string;
  readonly status: 'ok' | 'missing' | 'warn';
  readonly found: string;
  /** What to do; empty or null when there is nothing to do. */
  readonly advice?: string | null;
}

const GLYPH = { ok: '✓', warn: '!', missing: '✗' } as const;

function line(finding: DoctorFinding, width: number, colours: Colours): string {
  const colour = { ok: colours.green, warn: colours.yellow, missing: colours.red }[finding.status];
  const head = `${colour(GLYPH[finding.status])} ${oneLine(finding.part, width).padEnd(width)}  ${indented(finding.found, '').trim()}`;
  const needed = finding.status !== 'ok' && finding.advice;
  return needed ? `${head}\n${indented(finding.advice ?? '', ' '.repeat(width + 4))}` : head;
}

export function renderFindings(findings: readonly DoctorFinding[], colours: Colours): string {
  const width = Math.max(1, ...findings.map((finding) => finding.part.length));
  const lines = findings.map((finding) => line(finding, width, colours));
  const count = (status: DoctorFinding['status']) => findings.filter((finding) => finding.status === status).length;
  return [...lines, `${count('ok')} ok, ${count('warn')} to look at, ${count('missing')} missing`].join('\n');
}
