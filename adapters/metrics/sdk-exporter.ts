/** The Temporal SDK serves its own metrics on a port of its own; they are read from there and go along with ours. */
import { createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';
const READ_MS = 2_000;

export interface SdkExporter {
  /** For the runtime's telemetry options. */
  readonly bindAddress: string;
  /** Prometheus text; rejects while the runtime does not serve. */
  read(): Promise<string>;
}

/** Chooses a free port on loopback; the runtime takes it a moment later. */
export async function chooseSdkExporter(): Promise<SdkExporter> {
  const bindAddress = `${LOOPBACK}:${await freePort()}`;
  return {
    bindAddress,
    async read() {
      const answer = await fetch(`http://${bindAddress}/metrics`, { signal: AbortSignal.timeout(READ_MS) });
      return answer.text();
    },
  };
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
