/** What leaving a host needs, whichever way its deckies go. */
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { HostView } from '../hosts.ts';
import { deckies, harmless } from '../text.ts';

/** A host that is gone is given up after 90 s, and its rows end 30 s later at most: this sees their end. */
export const DEFAULT_BOUND_MS = 150_000;

/** What became of a host's deckies. */
export interface Emptied {
  /** No longer there: down, or up on another host. */
  readonly gone: readonly string[];
  /** Deckies that may still run there, or did not come up elsewhere, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
  /** Deckies that the host takes down when it can be reached again. */
  readonly owes: number;
}

export async function deckiesOn(context: Context, host: HostView): Promise<string[]> {
  const { deckies: all } = await context.master.fleet();
  return all.filter((decky) => decky.host_uuid === host.uuid).map((decky) => decky.name);
}

export const listed = (names: readonly string[]): string =>
  `${deckies(names.length)}${names.length > 0 ? ` (${names.map(harmless).join(', ')})` : ''}`;

export async function agree(context: Context, question: string, agreed: boolean): Promise<void> {
  if (agreed || (await context.io.confirm(question))) return;
  throw new CliError(EXIT.refused, 'Nothing was changed: it was not agreed to.', {
    advice: 'Without a terminal, say --yes.',
  });
}
