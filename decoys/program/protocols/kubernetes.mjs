/** The Kubernetes API server: its version and health for everybody, 403 for the anonymous, 401 for a token. */
import { httpServer, pathOf, sendJson } from './http-server.mjs';

const version = {
  major: '1',
  minor: '28',
  gitVersion: 'v1.28.6',
  gitCommit: 'be3af46a4654bdf05b4838fe94e95ec8c165660c',
  gitTreeState: 'clean',
  buildDate: '2024-01-17T13:39:00Z',
  goVersion: 'go1.20.13',
  compiler: 'gc',
  platform: 'linux/amd64',
};
const HEALTH = ['/healthz', '/livez', '/readyz'];
const VERBS = { GET: 'get', HEAD: 'get', POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

const failure = (code, reason, message) => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  details: {},
  code,
});

export const kubernetes = () =>
  httpServer((request, response) => {
    const path = pathOf(request).slice(0, 256);
    if (path === '/version') return sendJson(response, 200, version);
    if (HEALTH.includes(path)) {
      response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': 2 });
      return response.end(request.method === 'HEAD' ? undefined : 'ok');
    }
    if (request.headers.authorization) return sendJson(response, 401, failure(401, 'Unauthorized', 'Unauthorized'));
    const verb = VERBS[request.method] ?? 'get';
    const text = `forbidden: User "system:anonymous" cannot ${verb} path "${path}"`;
    return sendJson(response, 403, failure(403, 'Forbidden', text));
  });
