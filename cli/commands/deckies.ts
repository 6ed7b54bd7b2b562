import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderFleet } from '../render-tables.ts';

export async function deckies(context: Context): Promise<ExitCode> {
  const fleet = await context.master.fleet();
  if (context.json) printJson(context.io, fleet);
  else context.io.out(renderFleet(fleet, context.io.colours));
  return EXIT.succeeded;
}
