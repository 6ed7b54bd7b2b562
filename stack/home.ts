/**
 * DECKHAND_HOME: where everything of one instance lives.
 *
 * 1. `StackHome`: its places, and what is remembered between starts
 * 2. `ownDirectory`: a directory that nobody else can write to
 * 3. the secrets of an instance
 * 4. `stack.json`: where everything of a running stack is
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
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

// 2. Directories whose files programs with more rights than others trust

/**
 * Makes a directory that nobody else can write to, or finds it. Below a place that is everybody's, as /tmp is, another may have
 * made it first and put files or sockets of theirs there: then it throws, and says what to do.
 */
export function ownDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(path);
  const isOurs = found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o022) === 0;
  if (!isOurs)
    throw new Error(
      `${path} belongs to another user, or others can write to it. Remove it, or name a shorter DECKHAND_HOME.`,
    );
}

// 3. Secrets: made at the first start, kept in `<home>/secrets.json` (0600). What the user set wins.

const schema = z.object({ admin_password: z.string().min(12), jwt_secret: z.string().min(32) });

export interface Secrets {
  readonly adminUser: string;
  readonly adminPassword: string;
  readonly jwtSecret: string;
  /** True once: the password was made up just now and has to be shown. */
  readonly passwordIsNew: boolean;
}

/** Kept twice: the database knows the first password only, so one that is lost would lock its owner out. */
export function loadSecrets(home: StackHome, environment: NodeJS.ProcessEnv): Secrets {
  const file = home.path('secrets.json');
  const copy = home.path('secrets.copy.json');
  const saved = readJson(file, schema) ?? readJson(copy, schema);
  const known = saved?.admin_password;
  const kept = {
    admin_password: known ?? randomBytes(18).toString('base64url'),
    jwt_secret: saved?.jwt_secret ?? randomBytes(32).toString('base64url'),
  };
  for (const path of [file, copy]) writeJson(path, kept);
  const given = environment.DECKHAND_ADMIN_PASSWORD;
  return {
    adminUser: environment.DECKHAND_ADMIN_USER || 'admin',
    adminPassword: given || kept.admin_password,
    jwtSecret: environment.DECKHAND_JWT_SECRET || kept.jwt_secret,
    passwordIsNew: !given && known === undefined,
  };
}

/** `<home>/stack.json`: where everything is, for the CLI and for scripts. Mode 0600: it holds the admin's password. */

// 4. stack.json, for the command and for scripts. Mode 0600: it holds the administrator's password.

export const stackFileSchema = z.object({
  api_url: z.string(),
  /** `https://…`, for agents. */
  swarm_url: z.string().nullable(),
  temporal_address: z.string(),
  temporal_namespace: z.string(),
  temporal_ui_url: z.string().nullable(),
  nats_url: z.string(),
  database_url: z.string(),
  /** `unix:///…`; null when deckies are simulated. */
  docker_host: z.string().nullable(),
  admin: z.object({ username: z.string(), password: z.string() }),
  /** Lets the owner's commands log in whatever passwords others get wrong. */
  login_key: z.string(),
  /** Certificates of the installation. */
  ca_dir: z.string().nullable(),
  /** The process that does the work, never a wrapper. Only what the stack itself started. */
  processes: z.array(z.object({ name: z.string(), pid: z.number().int() })),
});
export type StackFile = z.infer<typeof stackFileSchema>;

export const stackFilePath = (home: string): string => join(home, 'stack.json');
export const readStackFile = (home: string): StackFile | null => readJson(stackFilePath(home), stackFileSchema);
export const writeStackFile = (home: string, content: StackFile): void => writeJson(stackFilePath(home), content);
