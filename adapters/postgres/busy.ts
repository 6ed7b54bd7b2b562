/** The refusal of what would touch a decky that something is under way for. */
import { DeckhandError } from '../../fleet/errors.ts';
import type { Operation } from '../../fleet/lifecycle.ts';

/** `open`: the id of its open lifecycle row. */
export const stillOpen = (name: string, operation: Operation | null, open: string | null): DeckhandError =>
  new DeckhandError(
    'DeckyBusy',
    `decky '${name}' has an open ${operation} (lifecycle id ${open}); wait until it has ended`,
  );
