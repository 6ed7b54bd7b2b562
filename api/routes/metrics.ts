/** `/metrics` for Prometheus, without a token as is usual: counts and times, never a name (docs/observability.md). */
import { createRoute, z } from '@hono/zod-openapi';
import type { AddRoutes } from './dependencies.ts';

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
