/**
 * How the master is: health and readiness, metrics, the mode, and a dashboard's figures. The first
 * three need no token.
 */

import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createRoute, z } from '@hono/zod-openapi';
import { stream } from 'hono/streaming';
import type { StreamingApi } from 'hono/utils/stream';
import { candidateHosts } from '../../fleet/plan-deploy.ts';
import { ownerOf, STREAM_HEADERS, tokenOrTicket, tooManyStreams } from '../auth.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { within } from '../middleware.ts';
import { EXAMPLES, json, PREFIX, refusals } from '../openapi.ts';

const PROBE_MS = 2_000;

const healthz = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['system'],
  summary: 'The process lives',
  responses: {
    200: { description: 'It does.', content: json(z.object({ status: z.literal('ok') }), { status: 'ok' }) },
  },
});

const Readiness = z.object({
  status: z.enum(['ready', 'not ready']),
  checks: z.record(z.string(), z.string()).openapi({
    description:
      'A part each: `ok`, or a sentence about what is missing. The API is ready while `nats` is unreachable (events wait in the database), and not ready while NATS refuses to store events.',
    example: { postgres: 'ok', temporal: 'No answer from 127.0.0.1:7233', nats: 'ok' },
  }),
});

const readyz = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['system'],
  summary: 'The API has all that it needs',
  responses: {
    200: { description: 'It has.', content: json(Readiness, EXAMPLES.ready) },
    503: { description: 'It has not; `checks` says what is missing.', content: json(Readiness, EXAMPLES.notReady) },
  },
});

const sentenceOf = (error: unknown): string =>
  error instanceof Error && error.message !== '' ? error.message : String(error);

interface Check {
  readonly name: string;
  readonly ready: boolean;
  readonly says: string;
}

async function probe(name: string, work: () => Promise<unknown>): Promise<Check> {
  try {
    const found = await within(PROBE_MS, work(), () => new Error(`No answer within ${PROBE_MS / 1000} s`));
    return { name, ready: true, says: degradedBy(found) ?? 'ok' };
  } catch (error) {
    return { name, ready: false, says: sentenceOf(error) };
  }
}

function degradedBy(found: unknown): string | null {
  if (typeof found !== 'object' || found === null || !('degraded' in found)) return null;
  return String(found.degraded);
}

async function checkAll(deps: RouteDependencies): Promise<Check[]> {
  const missing = deps.notReady();
  const startup = { name: 'startup', ready: missing === null, says: missing ?? 'ok' };
  const parts = Object.entries(deps.probes).map(([name, work]) => probe(name, work));
  return [startup, ...(await Promise.all(parts))];
}

export const addHealthRoutes: AddRoutes = (app, deps) => {
  app.openapi(healthz, (c) => c.json({ status: 'ok' as const }, 200));
  app.openapi(readyz, async (c) => {
    const found = await checkAll(deps);
    const checks = Object.fromEntries(found.map(({ name, says }) => [name, says]));
    return found.every(({ ready }) => ready)
      ? c.json({ status: 'ready' as const, checks }, 200)
      : c.json({ status: 'not ready' as const, checks }, 503, { 'Retry-After': '1' });
  });
};

/**
 * `/metrics` for Prometheus, without a token as is usual: counts and times, never a name
 * (docs/observability.md).
 */

const metrics = createRoute({
  method: 'get',
  path: '/metrics',
  tags: ['system'],
  summary: 'Metrics for Prometheus',
  description: 'No token: counts, sizes and times only. docs/observability.md explains each.',
  responses: {
    200: {
      description: 'Prometheus’ text format, version 0.0.4.',
      content: { 'text/plain': { schema: z.string(), example: 'deckhand_database_up 1\n' } },
    },
  },
});

export const addMetricsRoute: AddRoutes = (app, deps) => {
  app.openapi(metrics, async (c) => {
    const registry = deps.metrics?.registry;
    return c.text((await registry?.metrics()) ?? '', 200, registry ? { 'Content-Type': registry.contentType } : {});
  });
};

/** What kind of master this is (docs/wire.md#the-mode-and-settings). */

const mode = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/system/deployment-mode`,
    tags: ['system'],
    summary: 'Where deckies go: to this machine, or to hosts',
    responses: {
      200: {
        description: 'The mode.',
        content: json(
          z.object({
            mode: z.enum(['unihost', 'swarm']),
            role: z.enum(['master', 'agent']),
            swarm_host_count: z.number(),
          }),
          { mode: 'unihost', role: 'master', swarm_host_count: 0 },
        ),
      },
      ...refusals(401, 403),
    },
  });

export const addSystemRoutes: AddRoutes = (app, deps) => {
  app.openapi(mode(deps), async (c) => {
    const count = candidateHosts((await deps.swarm?.hosts.list()) ?? []).length;
    const answer = { role: 'master' as const, swarm_host_count: count };
    return c.json({ mode: count > 0 ? ('swarm' as const) : ('unihost' as const), ...answer }, 200);
  });
};

/**
 * The figures that a dashboard shows, as server-sent events. DECNET's page has no other source for
 * them. Logs and attackers are none of this master's business: it says zero.
 */

const FigureEvent = z
  .object({
    event: z.literal('message'),
    data: z.string().openapi({
      description:
        'JSON: `{"type": "stats", "data": {"total_logs", "unique_attackers", "active_deckies", "deployed_deckies"}}`, or `{"type": "histogram", "data": []}`.',
    }),
  })
  .openapi('FigureEvent');

const EXAMPLE = {
  event: 'message',
  data: '{"type":"stats","data":{"total_logs":0,"unique_attackers":0,"active_deckies":3,"deployed_deckies":4}}',
};

const count = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();
const ignored = z
  .string()
  .max(1_000)
  .optional()
  .openapi({ description: 'Ignored: there are no logs to look through.' });

const figureStream = (deps: RouteDependencies) =>
  createRoute({
    method: 'get',
    path: `${PREFIX}/stream`,
    tags: ['system'],
    summary: 'Figures for a dashboard, as server-sent events',
    description:
      'At once, and every 10 s. `deployed_deckies`: those that should be; `active_deckies`: those that were seen running. What happens to deckies is told by `/events`.',
    security: [{ bearer: [] }],
    middleware: [tokenOrTicket(deps)] as const,
    request: {
      query: z.object({
        ticket: z.string().max(128).optional(),
        maxOutput: count.openapi({ description: 'The stream ends after so many events.' }),
        lastEventId: count.openapi({ description: 'Ignored: there are no logs to go on with.' }),
        search: ignored,
        start_time: ignored,
        end_time: ignored,
      }),
    },
    responses: {
      200: {
        description: 'Figures until the client goes.',
        content: { 'text/event-stream': { schema: FigureEvent, example: EXAMPLE } },
      },
      ...refusals(400, 401, 403, 422),
      ...tooManyStreams,
    },
  });

export const addDashboardRoutes: AddRoutes = (app, deps) => {
  const figures = sharedFigures(() => deps.fleet.counts());
  // Each open stream listens for the end of the master.
  if (deps.stopping) setMaxListeners(0, deps.stopping);

  app.openapi(figureStream(deps), async (c) => {
    const { user, claims } = c.var;
    const { maxOutput } = c.req.valid('query');
    // What answers GET answers HEAD too, but nobody reads the stream then, nor ends it.
    if (c.req.method === 'HEAD') return c.body(null, 200, STREAM_HEADERS);
    const left = deps.streams.enter(user.uuid);
    try {
      const first = await figures();
      const allowed = async (): Promise<boolean> => (await ownerOf(deps.users, claims)) !== null;
      const { stopping } = deps;
      const reader = { figures, allowed, left, most: maxOutput ?? Infinity, stopping };
      for (const [name, value] of Object.entries(STREAM_HEADERS)) c.header(name, value);
      return stream(c, (out) => writeFigures(out, first, reader));
    } catch (error) {
      left();
      throw error;
    }
  });
};

/** A dashboard's figures as the text of a server-sent stream. */

interface FleetCounts {
  readonly deployed: number;
  readonly active: number;
}

/** How often the figures go out; both sides notice a dead connection by them. */
const EVERY_MS = 10_000;
/** Many dashboards share one query of the database that is no older than this. */
const FRESH_MS = 2_000;
/** How often it is asked whether the reader may still read: every so many figures. */
const CHECK_EVERY = 6;

/** The answer of `count`, asked once for all readers within {@link FRESH_MS}. */
export function sharedFigures(count: () => Promise<FleetCounts>): () => Promise<FleetCounts> {
  let last: { readonly at: number; readonly figures: Promise<FleetCounts> } | null = null;
  return () => {
    if (last !== null && Date.now() - last.at < FRESH_MS) return last.figures;
    const asked = { at: Date.now(), figures: count() };
    last = asked;
    asked.figures.catch(() => {
      if (last === asked) last = null;
    });
    return asked.figures;
  };
}

const frame = (type: string, data: unknown): string => `event: message\ndata: ${JSON.stringify({ type, data })}\n\n`;

/** No logs are collected here, and no attackers are told from one another. */
const statsOf = ({ deployed, active }: FleetCounts): string =>
  frame('stats', { total_logs: 0, unique_attackers: 0, active_deckies: active, deployed_deckies: deployed });

interface FigureReader {
  readonly figures: () => Promise<FleetCounts>;
  /** Whether the reader may still read. */
  readonly allowed: () => Promise<boolean>;
  /** Called when the stream is over. */
  readonly left: () => void;
  /** The stream ends after so many events. */
  readonly most: number;
  readonly stopping: AbortSignal | undefined;
  readonly everyMs?: number;
}

/**
 * Writes until the reader goes, the master stops, or `most` events were sent. A query that fails
 * costs one round, not the stream.
 */
export async function writeFigures(out: StreamingApi, first: FleetCounts, reader: FigureReader): Promise<void> {
  const { figures, allowed, left, most, stopping, everyMs = EVERY_MS } = reader;
  const over = new AbortController();
  const stop = (): void => over.abort();
  out.onAbort(stop);
  stopping?.addEventListener('abort', stop, { once: true });
  if (stopping?.aborted) stop();
  let sent = 0;
  const send = async (event: string): Promise<void> => {
    if (sent >= most) return;
    sent += 1;
    await out.write(event);
  };
  try {
    await out.write(': figures follow\n\n');
    await send(statsOf(first));
    await send(frame('histogram', []));
    for (let round = 1; sent < most; round += 1) {
      await pause(everyMs, undefined, { signal: over.signal }).catch(() => undefined);
      // A browser connects again, and is told then why its time was over.
      if (over.signal.aborted || (round % CHECK_EVERY === 0 && !(await allowed().catch(() => true)))) return;
      const counts = await figures().catch(() => null);
      await (counts === null ? out.write(': the database does not answer\n\n') : send(statsOf(counts)));
    }
  } finally {
    stopping?.removeEventListener('abort', stop);
    left();
  }
}
