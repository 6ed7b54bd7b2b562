/** The API program itself: starts without its database, gets ready when it comes, stops when asked. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { openAuthority } from '../../adapters/pki/authority.ts';
import { programArguments } from '../../stack/root.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';
import { testDirectory, testServers } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

interface Program {
  readonly child: ChildProcess;
  readonly url: string;
  /** All that it printed so far. */
  output(): string;
  ended(): Promise<number | null>;
}

const listening = /"port":(\d+),"msg":"api listens"/;

async function start(variables: NodeJS.ProcessEnv): Promise<Program> {
  const child = spawn(process.execPath, programArguments('api'), {
    env: {
      PATH: process.env.PATH,
      TEMPORAL_ADDRESS: testServers.temporalAddress,
      DECKHAND_API_PORT: '0',
      DECKHAND_SWARM_PORT: '0',
      ...variables,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  await until('the listener or the end', () => listening.test(text) || child.exitCode !== null);
  return { child, url: `http://127.0.0.1:${listening.exec(text)?.[1]}`, output: () => text, ended: () => exit };
}

/** A PostgreSQL that can be away: a door on a port of its own. */
async function createDoor(target: URL): Promise<{ url: string; open(): Promise<void>; shut(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const serve = (socket: Socket): void => {
    const behind = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
      one.pipe(other);
    }
  };
  let server: Server | null = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  const shut = async (): Promise<void> => {
    const closing = server;
    server = null;
    if (closing === null) return;
    const closed = once(closing, 'close');
    closing.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await closed;
  };
  const open = async (): Promise<void> => {
    server = createServer(serve).listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  return { url: url.href, open, shut };
}

const status = async (url: string): Promise<number> => (await fetch(url)).status;

describe('API: the program', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let running: Program[];

  beforeEach(async () => {
    running = [];
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const program of running) {
      program.child.kill('SIGKILL');
      await program.ended();
    }
    await database.drop();
  });

  const run = async (variables: NodeJS.ProcessEnv): Promise<Program> => {
    const program = await start({ DECKHAND_DB_SCHEMA: database.schema, ...variables });
    running.push(program);
    return program;
  };

  it('starts and lives without PostgreSQL, says what is missing, and gets ready when it comes', async () => {
    const door = await createDoor(new URL(database.url));
    await door.shut();
    const home = testDirectory('api');
    const program = await run({ DATABASE_URL: door.url, DECKHAND_HOME: home });
    try {
      assert.equal(await status(`${program.url}/healthz`), 200);
      const ready = await fetch(`${program.url}/readyz`);
      assert.equal(ready.status, 503);
      const { checks } = (await ready.json()) as { checks: Record<string, string> };
      assert.match(checks.postgres ?? '', /ECONNREFUSED/);
      assert.equal(checks.temporal, 'ok');
      assert.equal(await status(`${program.url}/api/v1/deckies`), 503);

      await door.open();
      await until('/readyz', async () => (await status(`${program.url}/readyz`)) === 200);
      assert.equal(await status(`${program.url}/api/v1/deckies`), 401);

      await door.shut();
      assert.equal(await status(`${program.url}/healthz`), 200);
      assert.equal(await status(`${program.url}/readyz`), 503);
      await door.open();
      await until('/readyz again', async () => (await status(`${program.url}/readyz`)) === 200);
    } finally {
      await door.shut();
    }
  });

  it('prints a made-up password once, keeps its secret for itself, and ends with 0 on SIGTERM', async () => {
    const home = testDirectory('api');
    const first = await run({ DATABASE_URL: database.url, DECKHAND_HOME: home });
    await until('the password', () => /password \S+ \(shown this once\)/.test(first.output()));
    const password = /password (\S+) /.exec(first.output())?.[1];
    const login = (program: Program): Promise<Response> =>
      fetch(`${program.url}/api/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'admin', password }),
      });
    const answer = (await (await login(first)).json()) as { access_token: string; must_change_password: boolean };
    assert.equal(answer.must_change_password, true);
    const secrets = join(home, 'api-secrets.json');
    assert.equal(statSync(secrets).mode & 0o777, 0o600);
    assert.equal(first.output().includes(JSON.parse(readFileSync(secrets, 'utf8')).jwt_secret), false);

    first.child.kill('SIGTERM');
    assert.equal(await first.ended(), 0);

    const second = await run({ DATABASE_URL: database.url, DECKHAND_HOME: home });
    await until('/readyz', async () => (await status(`${second.url}/readyz`)) === 200);
    assert.equal(second.output().includes('shown this once'), false);
    const headers = { authorization: `Bearer ${answer.access_token}` };
    const again = await fetch(`${second.url}/api/v1/deckies`, { headers });
    assert.equal(again.status, 403, 'the token outlives a restart, and the password is still to be changed');
  });

  it('says all that is wrong with its environment at once, and ends with 2', async () => {
    const program = await run({
      DECKHAND_JWT_SECRET: 'short',
      DECKHAND_API_HOST: '0.0.0.0',
      DECKHAND_LIMITER_ENABLED: 'false',
    });
    assert.equal(await program.ended(), 2);
    assert.match(program.output(), /DATABASE_URL/);
    assert.match(program.output(), /DECKHAND_JWT_SECRET: must have 32 characters or more/);
  });

  it('refuses to run without the limit of wrong passwords on a listener that others reach', async () => {
    const more = { DECKHAND_API_HOST: '0.0.0.0', DECKHAND_LIMITER_ENABLED: 'false' };
    const program = await run({ DATABASE_URL: database.url, ...more });
    assert.equal(await program.ended(), 2);
    assert.match(program.output(), /DECKHAND_LIMITER_ENABLED: may be false on loopback only/);
  });

  // proof: tls
  it('speaks TLS with a certificate, to a command that trusts its authority; names the files that make none', async () => {
    const home = testDirectory('api-program-tls');
    const authority = await openAuthority(join(home, 'authority'));
    const { certPem, keyPem } = await authority.issue({ name: 'api', sans: ['127.0.0.1'] });
    const [cert, key, ca] = [join(home, 'api.crt'), join(home, 'api.key'), join(home, 'ca.crt')];
    writeFileSync(cert, certPem);
    writeFileSync(key, keyPem, { mode: 0o600 });
    writeFileSync(ca, authority.caPem);
    const password = 'a password for tests';
    const variables = {
      DATABASE_URL: database.url,
      DECKHAND_HOME: home,
      DECKHAND_ADMIN_PASSWORD: password,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
      DECKHAND_TLS_CERT: cert,
      DECKHAND_TLS_KEY: key,
    };
    const program = await run(variables);
    const command = async (...trust: string[]) => {
      const api = program.url.replace('http:', 'https:');
      const child = spawn(process.execPath, ['cli/deckhand.mjs', '--api', api, ...trust, 'deckies', '--json'], {
        env: { PATH: process.env.PATH, DECKHAND_USER: 'admin', DECKHAND_PASSWORD: password },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += String(chunk)));
      const [code] = await once(child, 'close');
      return { code, said };
    };
    // It listens before it is ready.
    await until('an answer to the command', async () => (await command('--ca', ca)).code === 0);
    const stranger = await command();
    assert.notEqual(stranger.code, 0);
    assert.match(stranger.said, /does not answer/);
    const wrong = await run({ ...variables, DECKHAND_TLS_KEY: ca });
    assert.equal(await wrong.ended(), 1);
    assert.match(wrong.output(), /DECKHAND_TLS_KEY \(.*\) make no certificate/);
  });
});
