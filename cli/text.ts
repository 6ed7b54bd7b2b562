/** Text for terminals: foreign text is made harmless, widths are kept, durations are short. Pure. */
import { stripVTControlCharacters } from 'node:util';

/** Control characters but newline and tab, and marks that turn the direction of writing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const HARMFUL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Rows carry log lines that an attacker may have written: no escape sequence of theirs may reach a terminal. */
export const harmless = (text: string): string => stripVTControlCharacters(text).replace(HARMFUL, '');

/** One harmless line, cut to `width` with an ellipsis. */
export function oneLine(text: string, width: number): string {
  const flat = harmless(text).replace(/\s+/g, ' ').trim();
  return flat.length <= width ? flat : `${flat.slice(0, Math.max(0, width - 1))}…`;
}

/** All lines of a foreign text, each behind `prefix`. */
export const indented = (text: string, prefix: string): string =>
  harmless(text)
    .split('\n')
    .map((line) => (prefix + line).trimEnd())
    .join('\n');

/** `0.4s`, `12.3s`, `4m05s`, `2h03m`. */
export function shortDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const pad = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${pad(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${pad((seconds % 3600) / 60)}m`;
}

/** `1 network`, `3 networks`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** `1 decky`, `3 deckies`. */
export const deckies = (count: number): string => counted(count, 'decky', 'deckies');
