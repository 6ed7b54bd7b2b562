/** `npm run test:conformance`: every exchange that was recorded of DECNET 1.0, in order, against both listeners of a real master. */
import { SignJWT } from 'jose';
import { openAuthority } from '../../adapters/pki/authority.ts';
import { type MasterProgram, startMaster } from '../support/master/master-program.ts';
import { freePort } from '../support/servers/free-port.ts';
import { createWorld, endWorkflows, type World } from '../support/temporal/workflow-fixture.ts';
import { allow, allowanceLines } from './allowances.ts';
import { type Player, play } from './player.ts';
import { type Answer, Names, readRecording, type Step, stepNames } from './recording.ts';
import { type AgentIdentity, startSilentAgent } from './silent-agent.ts';

const SECRET = 'a-secret-of-the-conformance-player';
const PASSWORD = 'correct-horse-battery';
const NEWBIE = { old: 'viewer-password-1', changed: 'viewer-password-2' };
/** Accepts its order only after the recording looked which hosts are active: an answer is a sign of life. */
const LATE_HOST = 'h2';
const EVERYWHERE = { DECKHAND_SWARM_HOST: '0.0.0.0' };

const held: string[] = [];
const missed: string[] = [];

async function opened(variables: NodeJS.ProcessEnv): Promise<Player> {
  const world = await createWorld();
  const master = await startMaster(world, { DECKHAND_JWT_SECRET: SECRET, ...variables });
  return { world, master, names: new Names(), tokens: new Map(), identities: new Map() };
}

/** Workflows that wait for silent agents end with the world. */
async function close({ world, master }: { world: World; master: MasterProgram }): Promise<void> {
  await master.kill('SIGTERM');
  const failed = await world.database.sql<{ decky_name: string; error: string }[]>`
    select decky_name, error from decky_lifecycle where status = 'failed' and not error like 'CalledProcessError%'`;
  for (const { decky_name, error } of failed) console.log(`  the deploy of ${decky_name} failed: ${error}`);
  await endWorkflows(world);
  await world.close();
}

async function counted(label: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    held.push(label);
  } catch (error) {
    missed.push(label);
    throw error;
  }
}

const sign = (claims: { uuid: string }, secret: string, expires: number): Promise<string> =>
  new SignJWT({ ...claims, typ: 'access' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setJti('0'.repeat(32))
    .setIssuer('decnet')
    .setAudience('decnet-dashboard')
    .setIssuedAt(expires - 600)
    .setExpirationTime(expires)
    .sign(new TextEncoder().encode(secret));

// proof: conformance
describe('conformance: the exchanges of the master’s API', function () {
  this.timeout(120_000);
  let player: Player;
  let steps: Step[];

  before(async () => {
    player = await opened({ DECKHAND_ADMIN_PASSWORD: PASSWORD, DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'true' });
    const [admin] = await player.world.database.sql<{ uuid: string }[]>`select uuid from users`;
    const uuid = admin?.uuid ?? '';
    player.names.set('<user:admin>', uuid);
    steps = readRecording('master-api.json', player.world.pool);
    const now = Math.floor(Date.now() / 1000);
    player.tokens.set('garbage', 'garbage');
    player.tokens.set('forged', await sign({ uuid }, 'another-secret-of-32-characters!', now + 600));
    player.tokens.set('expired', await sign({ uuid }, SECRET, now - 10));
  });
  after(() => close(player));

  async function post(path: string, body: unknown, token?: string): Promise<Record<string, string>> {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch(`${player.master.apiUrl}/api/v1/auth/${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return (await answer.json()) as Record<string, string>;
  }
  const login = async (password: string): Promise<string> =>
    (await post('login', { username: 'vera', password })).access_token ?? '';

  /** Who the steps after this one are. */
  async function remember(step: Step, answer: Answer): Promise<void> {
    const told = answer.json as Record<string, string>;
    if (step.name === 'login' || step.name === 'login with the new password')
      player.tokens.set('admin', told.access_token ?? '');
    if (step.name === 'create viewer') {
      player.names.set('<user:vera>', told.uuid ?? '');
      player.tokens.set('newbie', await login(NEWBIE.old));
    }
    if (step.name === 'new user must change password first') {
      const change = { old_password: NEWBIE.old, new_password: NEWBIE.changed };
      await post('change-password', change, player.tokens.get('newbie'));
      player.tokens.set('viewer', await login(NEWBIE.changed));
    }
  }

  const names = stepNames('master-api.json');
  for (const [index, name] of names.entries())
    it(name, () =>
      counted(`master API: ${name}`, async () => {
        const step = steps[index] as Step;
        await remember(step, await play(player, step));
      }),
    );
});

// proof: conformance
describe('conformance: the exchanges of the swarm controller', function () {
  this.timeout(120_000);
  let player: Player;
  let steps: Step[];
  const stops: (() => Promise<void>)[] = [];
  const starts = new Map<string, () => Promise<void>>();
  const agentPorts: Record<string, number> = {};

  before(async () => {
    player = await opened(EVERYWHERE);
    player.tokens.set('admin', player.master.token);
    const nobody = await (await openAuthority(player.world.config.caDir)).issue({ name: 'nobody', sans: [] });
    player.identities.set('of nobody', { cert: nobody.certPem, key: nobody.keyPem });
    for (const recorded of ['18765', '18766']) agentPorts[recorded] = await freePort();
    steps = readRecording('swarm-controller.json', player.world.pool, agentPorts);
  });
  after(async () => {
    for (const stop of stops) await stop();
    await close(player);
  });

  /** Its agent listens from now on. */
  async function enrolled(answer: Answer): Promise<void> {
    const told = answer.json as Record<string, string> & { agent_port: number };
    const identity: AgentIdentity = {
      ca: told.ca_cert_pem ?? '',
      cert: told.worker_cert_pem ?? '',
      key: told.worker_key_pem ?? '',
    };
    player.names.set(`<host:${told.name}>`, told.host_uuid ?? '');
    player.names.set(`<fingerprint:${told.name}>`, told.fingerprint ?? '');
    player.identities.set(`of ${told.name}`, identity);
    starts.set(told.name ?? '', async () => {
      stops.push(await startSilentAgent(told.agent_port, identity));
      allow('silent agent');
    });
    if (told.name !== LATE_HOST) await starts.get(told.name ?? '')?.();
  }

  /** What the recording machine did by itself before this step. */
  async function prepare(step: Step): Promise<void> {
    if (step.name === 'check: nobody answers') for (const stop of stops.splice(0)) await stop();
    if (step.name === 'delta: running') {
      await starts.get(LATE_HOST)?.();
      allow('late agent');
    }
    if (step.name !== 'rows: a succeeded, b failed') return;
    allow('failed by a report');
    const lifecycle = [{ decky_name: 'b', operation: 'deploy', status: 'failed', error: 'CalledProcessError: exit 1' }];
    const body = { host_uuid: '<host:h2>', status: { deployed: false, deckies: [] }, lifecycle };
    const report = { auth: null, method: 'POST', path: '/swarm/heartbeat', certificate: 'of h2' };
    await play(player, { ...report, name: 'h2 reports', body, status: 204, answer: null });
  }

  const names = stepNames('swarm-controller.json');
  for (const [index, name] of names.entries())
    it(name, () =>
      counted(`swarm controller: ${name}`, async () => {
        const step = steps[index] as Step;
        await prepare(step);
        const answer = await play(player, step);
        if (step.path === '/swarm/enroll' && answer.status === 201) await enrolled(answer);
      }),
    );
});

after(() => {
  console.log(`\n${held.length} of ${held.length + missed.length} recorded exchanges hold. Allowances made:`);
  for (const line of allowanceLines()) console.log(line);
  for (const label of missed) console.log(`  does not hold: ${label}`);
});
