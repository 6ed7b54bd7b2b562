/** The API's description: /openapi.json, and /docs, a page that shows it without a script or anything from elsewhere. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import packageJson from '../../package.json' with { type: 'json' };
import { docsPage } from '../docs-page.ts';
import type { ApiEnv } from '../environment.ts';
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

const describe = (app: OpenAPIHono<ApiEnv>) => app.getOpenAPI31Document(ABOUT);

export const addDocsRoutes: AddRoutes = (app) => {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  });
  app.get('/openapi.json', (c) => c.json(describe(app)));
  app.get('/docs', (c) => {
    c.header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
    return c.html(docsPage(describe(app)));
  });
};
