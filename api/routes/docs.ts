/**
 * The API's description: /openapi.json, and /docs, one HTML page without a script or a font, so
 * that it works offline.
 */

import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import packageJson from '../../package.json' with { type: 'json' };
import type { AddRoutes } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { TEXT } from '../errors.ts';
import { json, PREFIX } from '../openapi.ts';

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

/**
 * Renders an OpenAPI description as one HTML page: no script, no font, nothing loaded, so that it
 * works offline.
 */

type ApiDescription = ReturnType<OpenAPIHono['getOpenAPI31Document']>;

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;
type PathItem = NonNullable<ApiDescription['paths']>[string];
type Operation = NonNullable<PathItem['get']>;
type Media = { schema?: unknown; example?: unknown } | undefined;

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
details{border:1px solid #ddd;border-radius:6px;margin:.5rem 0;padding:.5rem .8rem}summary{cursor:pointer}
code,pre{font-family:ui-monospace,monospace;font-size:13px}pre{background:#f5f5f5;padding:.6rem;overflow:auto;border-radius:4px}
.m{display:inline-block;min-width:4.5em;font-weight:700}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-top:1px solid #eee}`;

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);
const list = (items: readonly Html[]): Html => html`${items}`;

function media(content: unknown): Html {
  const [type, found] = Object.entries((content ?? {}) as Record<string, Media>)[0] ?? [];
  if (type === undefined) return raw('');
  return html`<p><code>${type}</code></p>
    ${found?.example === undefined ? '' : html`<pre>${pretty(found.example)}</pre>`}
    <details><summary>schema</summary><pre>${pretty(found?.schema)}</pre></details>`;
}

function parameters(operation: Operation): Html {
  const rows = (operation.parameters ?? []).map((parameter) =>
    '$ref' in parameter
      ? raw('')
      : html`<tr><td><code>${parameter.name}</code></td><td>${parameter.in}${parameter.required ? ', required' : ''}</td>
          <td>${parameter.description ?? ''}</td><td><code>${pretty(parameter.schema ?? {})}</code></td></tr>`,
  );
  return rows.length === 0 ? raw('') : html`<h4>Parameters</h4><table>${list(rows)}</table>`;
}

function requestBody(operation: Operation): Html {
  const body = operation.requestBody;
  return body === undefined || '$ref' in body ? raw('') : html`<h4>Body</h4>${media(body.content)}`;
}

function responses(operation: Operation): Html {
  const rows = Object.entries(operation.responses ?? {}).map(
    ([status, response]) =>
      html`<tr><td><b>${status}</b></td><td>${response.description ?? ''}${media(response.content)}</td></tr>`,
  );
  return html`<h4>Answers</h4><table>${list(rows)}</table>`;
}

const operationBlock = (path: string, method: string, operation: Operation): Html =>
  html`<details><summary><span class="m">${method.toUpperCase()}</span> <code>${path}</code> – ${operation.summary ?? ''}</summary>
    ${operation.description === undefined ? '' : html`<p>${operation.description}</p>`}
    <p>${operation.security === undefined ? 'No token needed.' : 'Needs a bearer token.'}</p>
    ${parameters(operation)}${requestBody(operation)}${responses(operation)}</details>`;

const operations = (description: ApiDescription): Html[] =>
  Object.entries(description.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [operationBlock(path, method, operation)];
    }),
  );

const schemas = (description: ApiDescription): Html[] =>
  Object.entries(description.components?.schemas ?? {}).map(
    ([name, schema]) => html`<details><summary><code>${name}</code></summary><pre>${pretty(schema)}</pre></details>`,
  );

/** The whole page. */
const docsPage = (description: ApiDescription): Html =>
  html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${description.info.title} API</title>
    <style>${raw(STYLE)}</style></head><body>
    <h1>${description.info.title} ${description.info.version}</h1><p>${description.info.description ?? ''}</p>
    <p>The same for machines: <a href="/openapi.json">/openapi.json</a></p>
    <h2>Operations</h2>${list(operations(description))}<h2>Schemas</h2>${list(schemas(description))}</body></html>`;
