/** One line of a diagnosis. */
export interface Finding {
  readonly part: string;
  readonly status: 'ok' | 'missing' | 'warn';
  /** What is there, or why nothing is. */
  readonly found: string;
  /** What to do; null when there is nothing to do. */
  readonly advice: string | null;
}

export const ok = (part: string, found: string): Finding => ({ part, status: 'ok', found, advice: null });
export const warn = (part: string, found: string, advice: string): Finding => ({ part, status: 'warn', found, advice });
export const missing = (part: string, found: string, advice: string): Finding => ({
  part,
  status: 'missing',
  found,
  advice,
});
