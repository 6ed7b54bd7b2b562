/** HTTP and HTTPS. What the service's configuration says is shown; a login is never granted. */
import { createReadStream, realpathSync, statSync } from 'node:fs';
import { extname, resolve, sep } from 'node:path';
import { httpServer, pathOf } from './http-server.mjs';
import { SKINS } from './web-pages.mjs';
import { webSettings } from './web-settings.mjs';

const FILE_BYTES = 8 * 1024 * 1024;
const MIME = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** The operator's file for a path, inside the directory (also once links are followed); undefined where there is none. */
function fileFor(directory, path) {
  try {
    const root = realpathSync(directory);
    const wanted = resolve(root, `.${decodeURIComponent(path)}`);
    const file = realpathSync(path.endsWith('/') ? resolve(wanted, 'index.html') : wanted);
    const { size } = statSync(file);
    return file.startsWith(root + sep) && statSync(file).isFile() && size <= FILE_BYTES ? { file, size } : undefined;
  } catch {
    return undefined;
  }
}

function sendFile(request, response, { file, size }) {
  response.writeHead(200, {
    'Content-Type': MIME[extname(file).toLowerCase()] ?? 'application/octet-stream',
    'Content-Length': size,
  });
  if (request.method === 'HEAD') return response.end();
  const stream = createReadStream(file);
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  return stream.pipe(response);
}

function sendText(request, response, status, text) {
  const body = Buffer.from(text);
  // The operator's own headers were set before and stay.
  if (!response.hasHeader('content-type')) response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.writeHead(status, { 'Content-Length': body.length });
  response.end(request.method === 'HEAD' || status === 204 || status === 304 ? undefined : body);
}

/** A page of a skin: text, a place to go to, or a demand for credentials. */
function sendPage(request, response, status, page) {
  if (typeof page === 'string') return sendText(request, response, status, page);
  if (page.to) {
    response.setHeader('Location', page.to);
    return sendText(request, response, 302, '');
  }
  response.setHeader('WWW-Authenticate', `Basic realm="${page.realm}"`);
  return sendText(request, response, 401, '<h1>401 Unauthorized</h1>\n');
}

export function webServer() {
  const settings = webSettings();
  const skin = SKINS[settings.app] ?? SKINS.none;
  return httpServer((request, response) => {
    for (const [name, value] of Object.entries({ Server: settings.server, ...skin.headers, ...settings.headers }))
      response.setHeader(name, value);
    const path = pathOf(request);
    const file = settings.filesDirectory && fileFor(settings.filesDirectory, path);
    if (file) return sendFile(request, response, file);
    if (settings.body !== undefined) return sendText(request, response, settings.status, settings.body);
    if (path === '/' || path === '/index.html' || path === '/index.php')
      return sendPage(request, response, settings.status, skin.home);
    if (Object.hasOwn(skin.paths, path)) return sendPage(request, response, 200, skin.paths[path]);
    return sendText(request, response, 404, '<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n');
  });
}
