/** Whether a Docker Engine answers at an address in DOCKER_HOST's notation. */
import { request } from 'node:http';

/** Null when it answers, else why not, in a phrase. Addresses other than sockets and plain TCP are for the engine's client to judge: null. */
export function dockerAnswers(host: string, timeoutMs = 2_000): Promise<string | null> {
  const socketPath = /^unix:\/\/(.+)$/.exec(host)?.[1];
  const tcp = /^(?:tcp|http):\/\/([^:/]+):(\d+)/.exec(host);
  if (!socketPath && !tcp) return Promise.resolve(null);
  const address = socketPath ? { socketPath } : { host: tcp?.[1] ?? '', port: Number(tcp?.[2]) };
  return new Promise((resolve) => {
    const asked = request({ ...address, path: '/_ping', timeout: timeoutMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? null : `it answers ${response.statusCode}`);
    });
    asked.on('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    asked.end();
  });
}
