import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderAudit } from '../render-feed.ts';

export interface AuditOptions {
  readonly limit?: number;
  readonly user?: string;
  readonly cursor?: string;
}

const RECENT = 50;

export async function audit(context: Context, options: AuditOptions): Promise<ExitCode> {
  const { limit = RECENT, user, cursor } = options;
  const page = await context.feed.audit({
    limit: String(limit),
    ...(user === undefined ? {} : { user }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  if (context.json) printJson(context.io, page);
  else {
    context.io.out(renderAudit(page.entries, context.io.colours));
    if (page.next_cursor !== null) context.io.out(`Older ones: deckhand audit --cursor ${page.next_cursor}`);
  }
  return EXIT.succeeded;
}
