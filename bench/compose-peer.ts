/** The peer that operators know: `docker compose up -d` of the same resolved file, where the plugin is installed. */
import { spawn } from 'node:child_process';

/** Resolves with the output. Throws with it when the command fails. */
function docker(dockerHost: string, args: readonly string[]): Promise<string> {
  const child = spawn('docker', [...args], {
    env: { ...process.env, DOCKER_HOST: dockerHost },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`docker ${args.join(' ')} ended with ${code}:\n${output}`)),
    );
  });
}

export class ComposePeer {
  readonly version: string;
  readonly #up: () => Promise<unknown>;

  private constructor(version: string, up: () => Promise<unknown>) {
    this.version = version;
    this.#up = up;
  }

  /** Null where there is no compose plugin (or no docker client). */
  static async find(dockerHost: string, project: string, file: string): Promise<ComposePeer | null> {
    try {
      const version = (await docker(dockerHost, ['compose', 'version', '--short'])).trim();
      const args = ['compose', '-p', `${project}-compose`, '-f', file, 'up', '-d'];
      return new ComposePeer(version, () => docker(dockerHost, args));
    } catch {
      return null;
    }
  }

  async up(): Promise<void> {
    await this.#up();
  }
}
