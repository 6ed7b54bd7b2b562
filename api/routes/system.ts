/** What kind of master this is (docs/wire.md#the-mode-and-settings). */
import { createRoute, z } from '@hono/zod-openapi';
import { candidateHosts } from '../../fleet/plan-deploy.ts';
import { json, PREFIX, refusals } from '../openapi.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';

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
