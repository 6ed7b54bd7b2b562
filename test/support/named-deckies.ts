/** Deckies by their names: a file that names them, and how their rows stand. */
import type { LifecycleRow } from '../../fleet/rows.ts';

export const iniOf = (...names: string[]): string => names.map((name) => `[${name}]\nservices=ssh\n`).join('');

export const statusesOf = (rows: readonly LifecycleRow[]): Record<string, string> =>
  Object.fromEntries(rows.map((row) => [row.decky_name, row.status]));
