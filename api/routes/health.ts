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
    description: 'A part each: `ok`, or a sentence about what is missing.',
    example: { postgres: 'ok', temporal: 'No answer from 127.0.0.1:7233' },
  }),
});

const readyz = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['system'],
  summary: 'All that the API needs can be reached',
  responses: {
    200: { description: 'It can.', content: json(Readiness, EXAMPLES.ready) },
    503: { description: 'It can’t; `checks` says what is missing.', content: json(Readiness, EXAMPLES.notReady) },
  },
});

const sentenceOf = (error: unknown): string =>
  error instanceof Error && error.message !== '' ? error.message : String(error);

async function probe(work: () => Promise<unknown>): Promise<string> {
  try {
    await within(PROBE_MS, work(), () => new Error(`No answer within ${PROBE_MS / 1000} s`));
    return 'ok';
  } catch (error) {
    return sentenceOf(error);
  }
}

async function checkAll(deps: RouteDependencies): Promise<Record<string, string>> {
  const parts = Object.entries(deps.probes);
  const found = await Promise.all(parts.map(async ([name, work]) => [name, await probe(work)] as const));
  return { startup: deps.notReady() ?? 'ok', ...Object.fromEntries(found) };
}

export const addHealthRoutes: AddRoutes = (app, deps) => {
  app.openapi(healthz, (c) => c.json({ status: 'ok' as const }, 200));
  app.openapi(readyz, async (c) => {
    const checks = await checkAll(deps);
    const ready = Object.values(checks).every((found) => found === 'ok');
    return ready
      ? c.json({ status: 'ready' as const, checks }, 200)
      : c.json({ status: 'not ready' as const, checks }, 503, { 'Retry-After': '1' });
  });
};
