/** The API's description: /openapi.json, and /docs, a page that shows it without a script or anything from elsewhere. */
import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import packageJson from '../../package.json' with { type: 'json' };
import { type ApiDescription, docsPage } from '../docs-page.ts';
import type { ApiEnv } from '../environment.ts';
import { TEXT } from '../errors.ts';
import { json, PREFIX } from '../openapi.ts';
import type { AddRoutes } from './dependencies.ts';

const ABOUT = {
  openapi: '3.1.0',
  info: {
    title: 'Deckhand',
    version: packageJson.version,
    description:
      'The operators’ API. Errors are `{"detail": sentence}`; the header Deckhand-Error-Code names the code of docs/errors.md. ' +
      'Every answer has an x-request-id, which stands in the log too.',
  },
};

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

const READS_BODY: ReadonlySet<string> = new Set(['post', 'put', 'patch']);
const ERROR = { schema: { $ref: '#/components/schemas/Error' } };
const UNREADABLE = {
  415: {
    description: 'A body that is not announced as JSON, or is compressed, or has another charset than UTF-8.',
    content: { 'text/plain': { schema: { type: 'string' as const }, example: TEXT.mediaType } },
  },
  422: {
    description: 'The body is no JSON, or no UTF-8.',
    content: { 'application/json': { ...ERROR, example: { detail: TEXT.invalidParameters } } },
  },
};

/** `POST /api/v1/deckies/{decky_name}/mutate` → `post_deckies_decky_name_mutate`. */
const operationId = (method: string, path: string): string =>
  [method, ...path.replace(PREFIX, '').split(/\W+/)].filter((word) => word !== '').join('_');

/** The whole description, of the routes that the app has. */
export function describe(app: OpenAPIHono<ApiEnv>): ApiDescription {
  const description = app.getOpenAPI31Document(ABOUT);
  for (const [path, item] of Object.entries(description.paths ?? {}))
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      operation.operationId = operationId(method, path);
      // A body is judged before the route is looked at, also where the route takes none.
      if (READS_BODY.has(method)) operation.responses = { ...UNREADABLE, ...operation.responses };
    }
  return description;
}

/** Described only. */
const PAGES: RouteConfig[] = [
  {
    method: 'get',
    path: '/openapi.json',
    tags: ['system'],
    summary: 'This description',
    responses: {
      200: {
        description: 'OpenAPI 3.1.',
        content: json(z.record(z.string(), z.unknown()), { openapi: ABOUT.openapi, info: ABOUT.info, paths: {} }),
      },
    },
  },
  {
    method: 'get',
    path: '/docs',
    tags: ['system'],
    summary: 'This description as a page',
    responses: {
      200: { description: 'A page.', content: { 'text/html': { schema: z.string(), example: '<!doctype html>' } } },
    },
  },
];

/** Made at the first request, when all routes are there. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

export const addDocsRoutes: AddRoutes = (app) => {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  });
  for (const page of PAGES) app.openAPIRegistry.registerPath(page);
  // Anybody may ask for them, and making them takes tens of milliseconds.
  const description = once(() => describe(app));
  const document = once(() => JSON.stringify(description()));
  const page = once(() => docsPage(description()));
  app.get('/openapi.json', (c) => c.body(document(), 200, { 'content-type': 'application/json' }));
  app.get('/docs', (c) => {
    c.header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
    return c.html(page());
  });
};
