/** An agent that takes every order and does nothing: real TLS with the certificate that its host was enrolled with. */
import { once } from 'node:events';
import { createServer } from 'node:https';

export interface AgentIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What it answers to each order of the agent's wire (docs/wire.md#the-agent). */
function answerTo(route: string, body: { config?: { deckies: { name: string }[] }; decky_id?: string | null }): object {
  if (route === 'POST /deploy') return { status: 'accepted', deckies: body.config?.deckies.map(({ name }) => name) };
  if (route === 'POST /teardown') return { status: 'torn_down', decky_id: body.decky_id ?? null };
  if (route === 'GET /status') return { deployed: false, deckies: [] };
  return { status: 'ok' };
}

/** Listens on `port`; the function returned stops it. */
export async function startSilentAgent(port: number, identity: AgentIdentity): Promise<() => Promise<void>> {
  const server = createServer({ ...identity, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const route = `${request.method} ${request.url}`;
      const body = answerTo(route, JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}'));
      response.writeHead(route === 'POST /deploy' ? 202 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
}
