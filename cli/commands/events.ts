import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import type { FeedEvent } from '../feed.ts';
import { renderEvent } from '../render-feed.ts';

export interface EventsOptions {
  readonly decky?: string;
  readonly host?: string;
  readonly deployment?: string;
  readonly since?: string;
  readonly count?: number;
}

const RETRY_MS = 2_000;

/** Prints events until Ctrl-C, or until `--count` of them; connects again after a loss and misses none. */
export async function events(context: Context, options: EventsOptions): Promise<ExitCode> {
  const { io, json, feed } = context;
  const { since, count, ...filter } = options;
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  let after = since ?? null;
  let left = count ?? Number.POSITIVE_INFINITY;
  const show = (event: FeedEvent): void => {
    if (json) io.out(JSON.stringify({ id: event.id, event: event.event, ...event.data }));
    else io.out(renderEvent(event, io.colours));
  };
  while (!io.interrupted.aborted) {
    try {
      for await (const event of feed.events(given, after, io.interrupted)) {
        if (event.id !== '') after = event.id;
        if (event.event === 'position') continue;
        show(event);
        if (event.id !== '') left -= 1;
        if (left <= 0) return EXIT.succeeded;
      }
    } catch (error) {
      if (io.interrupted.aborted) break;
      // What was heard of once may come back; a master that never answered, or that refuses, does not.
      if (error instanceof CliError && (after === null || error.exitCode === EXIT.refused)) throw error;
      io.err(`${(error as Error).message}; trying again.`);
    }
    await pause(RETRY_MS, undefined, { signal: io.interrupted }).catch(() => undefined);
  }
  return EXIT.interrupted;
}
