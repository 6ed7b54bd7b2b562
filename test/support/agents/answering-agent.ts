/** An agent that answers at once and does nothing: real TLS, the orders kept for a test to look at. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Identity } from '../../../adapters/pki/authority.ts';

export interface AnsweringAgent {
  readonly port: number;
  /** `POST /teardown` and its body, in order. */
  readonly orders: { readonly path: string; readonly body: Record<string, unknown> }[];
  /** What a path answers; default 200 (202 to a deploy) as an agent does. */
  readonly answers: Map<string, { readonly status: number; readonly body: unknown }>;
  close(): Promise<void>;
}

const USUAL: Readonly<Record<string, { status: number; body: unknown }>> = {
  '/health': { status: 200, body: { status: 'ok' } },
  '/status': { status: 200, body: { deployed: false, deckies: [] } },
  '/deploy': { status: 202, body: { status: 'accepted', deckies: [] } },
  '/teardown': { status: 200, body: { status: 'torn_down', decky_id: null } },
  '/self-destruct': { status: 200, body: { status: 'self_destruct_scheduled' } },
};

export async function answeringAgent(identity: Identity): Promise<AnsweringAgent> {
  const orders: AnsweringAgent['orders'] = [];
  const answers: AnsweringAgent['answers'] = new Map();
  const server: Server = createServer(
    { key: identity.keyPem, cert: identity.certPem, ca: identity.caPem, requestCert: true },
    async (request, response) => {
      const path = request.url ?? '';
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.method === 'POST') orders.push({ path, body: JSON.parse(Buffer.concat(chunks).toString()) });
      const { status, body } = answers.get(path) ?? USUAL[path] ?? { status: 404, body: { detail: 'Not Found' } };
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    orders,
    answers,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
