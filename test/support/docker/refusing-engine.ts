/** A Docker Engine that keeps its networks: a server in front of the real one, which refuses one kind of call as Docker was seen to. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RefusingEngine {
  /** As in DOCKER_HOST. */
  readonly host: string;
  close(): Promise<void>;
}

/** What Docker 20.10.24 answered to the removal of a network that no container was on. */
const ACTIVE = { message: 'error while removing network: network x id 39bc5441f671 has active endpoints' };

export async function engineThatKeepsNetworks(dockerHost: string): Promise<RefusingEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'dh-refusing-'));
  const path = join(directory, 'sock');
  const url = dockerHost.startsWith('unix://') ? null : new URL(dockerHost);
  const engine = url ? { host: url.hostname, port: url.port } : { socketPath: dockerHost.slice('unix://'.length) };
  const server = createServer((incoming, outgoing) => {
    if (incoming.method === 'DELETE' && /\/networks\//.test(incoming.url ?? '')) {
      outgoing.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(ACTIVE));
      return;
    }
    const { method, url: target, headers } = incoming;
    const upstream = request({ ...engine, method, path: target, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.destroy());
    incoming.pipe(upstream);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    host: `unix://${path}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
