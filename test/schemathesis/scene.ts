/** A master with a simulated engine, three accounts, and things that exist for the requests to name. */
import { type MasterProgram, startMaster } from '../support/master/master-program.ts';
import { createWorld, endWorkflows, type World } from '../support/temporal/workflow-fixture.ts';

const PASSWORD = 'correct-horse-battery';
const FIRST = 'a-first-password';

export interface Account {
  readonly uuid: string;
  readonly username: string;
  readonly password: string;
}

export interface Scene {
  readonly master: MasterProgram;
  readonly admin: Account;
  readonly viewer: Account;
  /** Ends its own tokens and changes its own password. */
  readonly restless: Account;
  /** What the requests are made of; `api` is asked for tokens. */
  readonly facts: {
    readonly api: string;
    readonly known: Readonly<Record<string, readonly string[]>>;
    readonly rows: readonly string[];
    readonly inis: readonly string[];
    /** Users that no request may name. */
    readonly spared: readonly string[];
  };
  close(): Promise<void>;
}

interface Told {
  readonly uuid: string;
  readonly lifecycle_ids: readonly string[];
  readonly host_uuid: string;
  readonly deployments: readonly { readonly deployment_id: string }[];
}

const INIS = [
  '[web-01]\nservices=http,ssh\n',
  '[fuzz-a]\nservices=ssh\n[fuzz-b]\nservices=http\n',
  '[fuzz-c]\nservices=ssh\nmutate_interval=60\n',
  '[group]\nservices=ssh\namount=3\n',
  '[web-01]\nservices=nosuchservice\n',
  '[fuzz.d]\nservices=ssh\n[fuzz.d.ssh]\npassword=x\n',
];

async function createAccount(master: MasterProgram, username: string, role: string): Promise<Account> {
  const made = await master.ask('POST', '/api/v1/config/users', { username, password: FIRST, role });
  const post = async (path: string, body: unknown, token?: string): Promise<Record<string, string>> => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const url = `${master.apiUrl}/api/v1/auth/${path}`;
    return (await (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Record<
      string,
      string
    >;
  };
  const { access_token } = await post('login', { username, password: FIRST });
  await post('change-password', { old_password: FIRST, new_password: PASSWORD }, access_token);
  return { username, password: PASSWORD, uuid: (made.body as Told).uuid };
}

/** Workflows of the last requests end with the world. */
async function close(world: World, master: MasterProgram): Promise<void> {
  await master.kill('SIGTERM');
  await endWorkflows(world);
  await world.close();
}

export async function createScene(): Promise<Scene> {
  const world = await createWorld({ simulated: true });
  const master = await startMaster(world, { DECKHAND_ADMIN_PASSWORD: PASSWORD, DECKHAND_LIMITER_ENABLED: 'false' });
  const ask = async (method: string, path: string, body?: unknown): Promise<Told> =>
    (await master.ask(method, `/api/v1/${path}`, body)).body as Told;
  const viewer = await createAccount(master, 'vera', 'viewer');
  const restless = await createAccount(master, 'rita', 'admin');
  const spare = await createAccount(master, 'sam', 'viewer');
  const ini = '[web-01]\nservices=http,ssh\n[web-02]\nservices=ssh\n[web-03]\nservices=http\n';
  const deployed = await ask('POST', 'deckies/deploy', { ini_content: ini, min_healthy_time: 0 });
  await world.ended(deployed.lifecycle_ids);
  const host = await ask('POST', 'swarm/enroll-bundle', { master_host: '127.0.0.1', agent_name: 'h1' });
  const [first] = await world.database.sql<{ uuid: string }[]>`select uuid from users where username = 'admin'`;
  const admin = { username: 'admin', password: PASSWORD, uuid: first?.uuid ?? '' };
  const { deployments } = await ask('GET', 'deployments');
  return {
    master,
    admin,
    viewer,
    restless,
    facts: {
      api: master.apiUrl,
      known: {
        decky_name: ['web-01', 'web-02', 'web-03', 'fuzz-a'],
        deployment_id: deployments.map(({ deployment_id }) => deployment_id),
        uuid: [host.host_uuid],
        user_uuid: [spare.uuid],
      },
      rows: deployed.lifecycle_ids,
      inis: INIS,
      spared: [admin.uuid, viewer.uuid, restless.uuid],
    },
    close: () => close(world, master),
  };
}
