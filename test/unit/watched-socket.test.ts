/** The sockets of the PostgreSQL client: how the protocol is followed, TLS, and what errors of the database are told as. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { BOUNDS, databaseUnavailable, openDatabase, reachable, type Sql } from '../../adapters/postgres/connect.ts';
import { readMessages } from '../../adapters/postgres/watched-socket.ts';

const message = (type: string, body: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

describe('messages of PostgreSQL’s protocol', () => {
  const one = fc.tuple(fc.constantFrom(...'ZCDTt12nES'), fc.uint8Array({ maxLength: 40 }));
  // proof: field-1.7-3
  it('are told apart however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(one), fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(([type, body]) => message(type, Buffer.from(body))));
        const seen: number[] = [];
        const read = readMessages((type) => seen.push(type));
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const step = cuts[turn % cuts.length] ?? 1;
          read(bytes.subarray(at, at + step));
          at += step;
        }
        assert.deepEqual(
          seen,
          sent.map(([type]) => type.charCodeAt(0)),
        );
      }),
    );
  });
});

describe('errors of PostgreSQL', () => {
  const as = (code: string) => databaseUnavailable(Object.assign(new Error('the server’s words'), { code }));
  it('are Unavailable where a later try may succeed, with the server’s words, and nothing else is', () => {
    for (const code of ['57014', '55P03', '25P03', '57P05', '40001', '40P01', '53100', '53300', '08006', '57P03'])
      assert.equal(as(code)?.code, 'Unavailable', code);
    for (const code of ['57014', '55P03', '25P03']) assert.match(as(code)?.message ?? '', /the server’s words/);
    for (const code of ['23505', '22021', '42P01', '28P01', 'ERR_ASSERTION']) assert.equal(as(code), null, code);
  });
  it('do not say that nothing was done where the connection was lost under a statement', () => {
    for (const code of ['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'])
      assert.doesNotMatch(as(code)?.message ?? '', /Nothing was done/);
    assert.match(as('ECONNREFUSED')?.message ?? '', /Nothing was done/);
  });
});

/** Lets everybody in and answers each statement with no row; what it is told without TLS is kept. */
async function scriptedServer(tls: { cert: string; key: string } | null | 'closes') {
  const plain: Buffer[] = [];
  const ready = message('Z', Buffer.from('I'));
  const serve = (socket: Socket): void => {
    let started = false;
    const read = readMessages((type) => {
      if (type === 0x53)
        socket.write(
          Buffer.concat([
            message('1'),
            message('t', Buffer.alloc(2)),
            message('n'),
            message('2'),
            message('C', Buffer.from('SELECT 0\0')),
            ready,
          ]),
        );
    });
    socket
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        if (started) return read(chunk);
        started = true;
        socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]));
      });
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket
      .on('error', () => undefined)
      .once('data', (first: Buffer) => {
        plain.push(first);
        if (tls === 'closes') return socket.end();
        if (first.length !== 8) {
          serve(socket);
          socket.emit('data', first);
          return;
        }
        socket.write(tls === null ? 'N' : 'S');
        if (tls === null) return serve(socket);
        socket.removeAllListeners('data');
        serve(new TLSSocket(socket, { isServer: true, ...tls }));
      });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    plain,
    url: `postgres://u:p@127.0.0.1:${(server.address() as AddressInfo).port}/d`,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe('a connection to PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof scriptedServer>>;
  let sql: Sql;
  afterEach(async () => {
    await sql.end({ timeout: 1 });
    server.close();
  });
  const certificate = async (): Promise<{ cert: string; key: string }> => {
    const path: string = '../../decoys/program/tls.mjs';
    return ((await import(path)) as { selfSigned(name: string): { cert: string; key: string } }).selfSigned('db');
  };

  for (const mode of ['require', 'prefer'])
    it(`speaks TLS with sslmode=${mode}: neither name nor password goes out before`, async () => {
      server = await scriptedServer(await certificate());
      sql = openDatabase(`${server.url}?sslmode=${mode}`);
      assert.equal((await sql`select 1`).length, 0);
      assert.ok(server.plain.every((first) => first.length === 8));
    });
  it('goes on without TLS where sslmode=prefer and the server has none', async () => {
    server = await scriptedServer(null);
    sql = openDatabase(`${server.url}?sslmode=prefer`);
    assert.equal((await sql`select 1`).length, 0);
  });
  it('fails where sslmode=require and the server has no TLS, and fails each time', async () => {
    server = await scriptedServer(null);
    sql = openDatabase(`${server.url}?sslmode=require`, { max: 1 });
    for (let time = 0; time < 3; time += 1)
      await assert.rejects(
        reachable(() => sql`select 1`),
        { code: 'Unavailable' },
      );
  });
  it('fails where sslmode=verify-full and the certificate is nobody’s', async () => {
    server = await scriptedServer(await certificate());
    sql = openDatabase(`${server.url}?sslmode=verify-full`, { max: 1 });
    await assert.rejects(Promise.resolve(sql`select 1`), /self-signed|altname|certificate/i);
  });
  it('fails where the server closes before it lets it in, instead of connecting again for ever', async () => {
    server = await scriptedServer('closes');
    sql = openDatabase(server.url, { max: 1, bounds: BOUNDS });
    await assert.rejects(
      reachable(() => sql`select 1`),
      { code: 'Unavailable' },
    );
  });
});
