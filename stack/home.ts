/** DECKHAND_HOME: where everything of one instance lives, and what is remembered between starts. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomically, writeJson } from '../lib/files.ts';

const stateSchema = z.object({
  /** Stands in the label `deckhand.instance` of all that we make on an engine. */
  instance: z.string().regex(/^[0-9a-f]{12}$/),
  /** CIDR of the fleet's bridge network, chosen at the first start. */
  bridgePool: z.string().optional(),
  /** CIDR of the bridge network of each agent, by its number. */
  agentNets: z.record(z.string(), z.string()).default({}),
  /** Where the cluster lives when the database's user can't reach the home. */
  postgresDirectory: z.string().optional(),
  ports: z.record(z.string(), z.number().int()).default({}),
});
export type State = z.infer<typeof stateSchema>;

export class StackHome {
  readonly directory: string;
  #state: State;

  constructor(directory: string) {
    this.directory = resolve(directory);
    const root = process.getuid?.() === 0;
    mkdirSync(this.path('logs'), { recursive: true, mode: root ? 0o711 : 0o700 });
    // As root the database runs as another user, who must pass through; what is secret has a mode of its own (0600).
    chmodSync(this.directory, root ? 0o711 : 0o700);
    this.#state = this.#load();
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }
  logFile(name: string): string {
    return this.path('logs', `${name}.log`);
  }
  get instance(): string {
    return this.#state.instance;
  }
  get state(): Readonly<State> {
    return this.#state;
  }

  remember(change: Partial<Omit<State, 'instance'>>): void {
    this.#state = { ...this.#state, ...change };
    writeJson(this.path('state.json'), this.#state);
  }

  /** The instance id is kept twice: were it lost, our own containers would be strangers to us. */
  #load(): State {
    const copy = this.path('instance');
    const saved = readJson(this.path('state.json'), stateSchema);
    const known = saved?.instance ?? readInstance(copy);
    const state = saved ?? { instance: known ?? randomBytes(6).toString('hex'), agentNets: {}, ports: {} };
    if (!saved) writeJson(this.path('state.json'), state);
    if (readInstance(copy) !== state.instance) writeFileAtomically(copy, `${state.instance}\n`);
    return state;
  }
}

/** Null where the file is missing or holds no instance id. */
export function readInstance(path: string): string | null {
  const text = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  return stateSchema.shape.instance.safeParse(text).success ? text : null;
}

/** `DECKHAND_HOME`, else `.deckhand` in the working directory. */
export const homeDirectory = (environment: NodeJS.ProcessEnv = process.env): string =>
  resolve(environment.DECKHAND_HOME || '.deckhand');
