/** Whether the process lives, and whether what it needs can be reached. Neither needs a token. */
import { createRoute, z } from '@hono/zod-openapi';
import { within } from '../deadline.ts';
import { EXAMPLES } from '../examples.ts';
import { json } from '../openapi.ts';
import type { AddRoutes, RouteDependencies } from './dependencies.ts';

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
