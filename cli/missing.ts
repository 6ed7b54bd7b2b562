/** `--add-missing`: what of an INI is not there yet. Pure. */

import { type Expansion, expandSections } from '../fleet/deckies.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import { type IniConfig, parseIni } from '../fleet/ini.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import type { FleetDecky } from './api-types.ts';
import { writeIni } from './write-ini.ts';

export interface Missing {
  /** What to send; null when nothing is missing. */
  readonly ini: string | null;
  /** Names that are there and came up once. */
  readonly unchanged: readonly string[];
  /** Lifecycle ids of deploys that are open for deckies of the INI, as after a master that was stopped in the middle. */
  readonly underway: readonly string[];
  /** Of the INI as it stands; none where it is sent as it is, since the master says them then. */
  readonly warnings: readonly string[];
}

function read(text: string): { readonly ini: IniConfig; readonly expansion: Expansion } | null {
  try {
    const ini = parseIni(text);
    return { ini, expansion: expandSections(ini) };
  } catch (error) {
    if (isDeckhandError(error)) return null;
    throw error;
  }
}

/**
 * A decky that never came up counts as missing: the master replaces it. An INI that can't be read is sent as it is, so that
 * one place, the master, says what is wrong; so is one of which everything is missing.
 */
export function selectMissing(text: string, fleet: readonly FleetDecky[]): Missing {
  const parts = read(text);
  if (parts === null) return { ini: text, unchanged: [], underway: [], warnings: [] };
  const byName = new Map(fleet.map((decky) => [decky.name, decky]));
  const unchanged: string[] = [];
  const underway: string[] = [];
  const missing = parts.expansion.deckies.filter(({ name }) => {
    const decky = byName.get(name);
    if (decky?.open?.operation === OPERATION.deploy) underway.push(decky.open.lifecycle_id);
    else if (decky?.established) unchanged.push(name);
    else return true;
    return false;
  });
  const whole = missing.length === parts.expansion.deckies.length;
  if (whole && missing.length > 0) return { ini: text, unchanged, underway, warnings: [] };
  // What is sent is written anew, without the mistakes.
  const warnings = parts.ini.warnings.texts;
  return { ini: missing.length === 0 ? null : writeIni(parts.ini, missing), unchanged, underway, warnings };
}
