/** The Docker Engine's API: version, ping, info and empty lists; nothing can be made. */
import { deckyBytes, hostname } from '../settings.mjs';
import { httpServer, pathOf, sendJson } from './http-server.mjs';

const HEADERS = {
  'Api-Version': '1.43',
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: 'Docker/24.0.7 (linux)',
};

const version = () => ({
  Platform: { Name: 'Docker Engine - Community' },
  Version: '24.0.7',
  ApiVersion: '1.43',
  MinAPIVersion: '1.12',
  GitCommit: '311b9ff',
  GoVersion: 'go1.20.10',
  Os: 'linux',
  Arch: 'amd64',
  KernelVersion: '6.1.0-18-amd64',
  BuildTime: '2023-10-26T09:07:41.000000000+00:00',
});

const info = () => ({
  ID: deckyBytes('docker', 18).toString('hex').slice(0, 36),
  Containers: 0,
  ContainersRunning: 0,
  Images: 0,
  Driver: 'overlay2',
  KernelVersion: '6.1.0-18-amd64',
  OperatingSystem: 'Debian GNU/Linux 12 (bookworm)',
  OSType: 'linux',
  Architecture: 'x86_64',
  NCPU: 2,
  MemTotal: 4_112_408_576,
  Name: hostname(),
  ServerVersion: '24.0.7',
});

const empty = () => [];
const PAGES = {
  '/version': version,
  '/info': info,
  '/containers/json': empty,
  '/images/json': empty,
  '/networks': empty,
  '/volumes': () => ({ Volumes: [], Warnings: null }),
};

export const dockerApi = () =>
  httpServer((request, response) => {
    const path = pathOf(request).replace(/^\/v1\.\d{1,2}(?=\/)/, '');
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (reads && path === '/_ping') {
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': 2 });
      response.end(request.method === 'HEAD' ? undefined : 'OK');
    } else if (reads && Object.hasOwn(PAGES, path)) sendJson(response, 200, PAGES[path](), HEADERS);
    else if (reads) sendJson(response, 404, { message: 'page not found' }, HEADERS);
    else sendJson(response, 403, { message: 'authorization denied by plugin authz-broker' }, HEADERS);
  });
