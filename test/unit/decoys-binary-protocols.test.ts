import assert from 'node:assert/strict';
import postgres from 'postgres';
import { type Decoy, Talk, withDecoy } from '../support/docker/decoys.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex');

/** One question, one answer of at least `atLeast` bytes. */
async function answer(port: number, question: Uint8Array, atLeast: number): Promise<Buffer> {
  const talk = await Talk.to(port);
  const bytes = await talk.send(question).read(atLeast);
  talk.close();
  return bytes;
}

describe('decoys: binary protocols', function () {
  this.timeout(30_000);

  // proof: decoys
  it('MySQL shows MYSQL_VERSION in a whole handshake and denies access', () =>
    withDecoy('mysql', { MYSQL_VERSION: '5.7.44-log' }, async (decoy) => {
      const talk = await Talk.to(decoy.port(3306));
      const greeting = await talk.read(60);
      assert.equal(greeting.readUIntLE(0, 3) + 4, greeting.length);
      assert.equal(greeting[4], 10);
      assert.equal(greeting.toString('latin1', 5, greeting.indexOf(0, 5)), '5.7.44-log');
      assert.match(greeting.toString('latin1'), /mysql_native_password\0$/);
      const login = Buffer.concat([Buffer.alloc(32), Buffer.from('root\0'), Buffer.of(20), Buffer.alloc(20)]);
      talk.send(Buffer.concat([Buffer.of(login.length, 0, 0, 1), login]));
      const error = await talk.rest();
      assert.equal(error.readUIntLE(0, 3) + 4, error.length);
      assert.equal(error[3], 2);
      assert.equal(error.readUInt16LE(5), 1045);
      assert.match(
        error.toString('latin1', 7),
        /^#28000Access denied for user 'root'@'127\.0\.0\.1' \(using password: YES\)$/,
      );
    }));

  it('PostgreSQL’s own client is refused with 28P01', () =>
    withDecoy('postgres', {}, async (decoy) => {
      const sql = postgres({
        host: '127.0.0.1',
        port: decoy.port(5432),
        user: 'app',
        password: 'x',
        max: 1,
      });
      await assert.rejects(sql`select 1`, { code: '28P01', message: 'password authentication failed for user "app"' });
      await sql.end({ timeout: 0 });
    }));

  it('MSSQL answers PRELOGIN and fails the login by name', () =>
    withDecoy('mssql', {}, async (decoy) => {
      const talk = await Talk.to(decoy.port(1433));
      const prelogin = await talk.send(hex('1201 000e 0000 0100 00 0006 0000 ff')).read(8);
      assert.equal(prelogin[0], 4);
      assert.equal(prelogin.readUInt16BE(2), prelogin.length);
      const body = Buffer.alloc(94 + 4);
      body.writeUInt16LE(94, 40);
      body.writeUInt16LE(2, 42);
      body.write('sa', 94, 'utf16le');
      const head = Buffer.from([0x10, 1, 0, 8 + body.length, 0, 0, 1, 0]);
      const failed = await talk.send(Buffer.concat([head, body])).rest();
      assert.equal(failed[8], 0xaa);
      assert.equal(failed.readUInt32LE(11), 18456);
      assert.match(failed.toString('utf16le', 19), /^Login failed for user 'sa'\./);
      assert.equal(failed[failed.length - 13], 0xfd);
    }));

  it('MongoDB says hello in OP_MSG and OP_QUERY, and wants authentication for the rest', () =>
    withDecoy('mongodb', {}, async (decoy) => {
      const bson = (name: string): Buffer =>
        Buffer.concat([Buffer.of(11 + name.length, 0, 0, 0, 0x10), Buffer.from(`${name}\0`), hex('01000000 00')]);
      const message = (opcode: number, body: Buffer): Buffer => {
        const head = Buffer.alloc(16);
        [16 + body.length, 7, 0, opcode].forEach((value, at) => void head.writeInt32LE(value, 4 * at));
        return Buffer.concat([head, body]);
      };
      const ask = (bytes: Buffer): Promise<Buffer> => answer(decoy.port(27017), bytes, 60);
      const hello = await ask(message(2013, Buffer.concat([Buffer.alloc(5), bson('hello')])));
      assert.equal(hello.readInt32LE(0), hello.length);
      assert.equal(hello.readInt32LE(8), 7);
      assert.equal(hello.readInt32LE(12), 2013);
      assert.equal(hello.readInt32LE(21), hello.length - 21);
      assert.match(hello.toString('latin1'), /isWritablePrimary/);
      const query = Buffer.concat([
        Buffer.alloc(4),
        Buffer.from('admin.$cmd\0'),
        hex('00000000 ffffffff'),
        bson('isMaster'),
      ]);
      const reply = await ask(message(2004, query));
      assert.equal(reply.readInt32LE(12), 1);
      assert.equal(reply.readInt32LE(32), 1);
      assert.equal(reply.readInt32LE(36), reply.length - 36);
      const refused = await ask(message(2013, Buffer.concat([Buffer.alloc(5), bson('find')])));
      assert.match(refused.toString('latin1'), /Command find requires authentication/);
    }));

  it('MQTT 3.1.1 and 5 are told "not authorized"', () =>
    withDecoy('mqtt', {}, async (decoy) => {
      const connect = (level: string): Buffer => hex(`10 10 0004 4d515454 ${level} 02 003c 0004 61626364`);
      assert.deepEqual(await answer(decoy.port(1883), connect('04'), 4), hex('20020005'));
      assert.deepEqual(await answer(decoy.port(1883), connect('05'), 5), hex('2003008700'));
    }));

  it('LDAP refuses a bind with invalidCredentials and echoes the message id', () =>
    withDecoy('ldap', {}, async (decoy) => {
      const bind = hex('30 14 020107 60 0f 020103 0408 636e3d61646d696e 8000');
      const response = await answer(decoy.port(389), bind, 20);
      assert.equal(response[0], 0x30);
      const body = response.subarray(response[1] === 0x81 ? 3 : 2);
      assert.deepEqual(body.subarray(0, 3), hex('020107'));
      assert.equal(body[3], 0x61);
      assert.match(body.toString('hex'), /^020107 ?61(81)?..0a0131/);
    }));

  it('VNC challenges and fails the authentication', () =>
    withDecoy('vnc', {}, async (decoy) => {
      const talk = await Talk.to(decoy.port(5900));
      assert.equal(await talk.text(/\n/), 'RFB 003.008\n');
      assert.deepEqual([...(await talk.send('RFB 003.008\n').read(2))], [1, 2]);
      assert.equal((await talk.send(Buffer.of(2)).read(16)).length, 16);
      const result = await talk.send(Buffer.alloc(16)).rest();
      assert.deepEqual([...result.subarray(0, 4)], [0, 0, 0, 1]);
      assert.equal(result.readUInt32BE(4), result.length - 8);
    }));

  it('SMB 2 is negotiated and gives no session; SMB 1 alone finds no dialect', () =>
    withDecoy('smb', {}, async (decoy) => {
      const framed = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(0, 0, 0, bytes.length), bytes]);
      const smb2 = (command: number, body: Buffer): Buffer => {
        const head = Buffer.alloc(64);
        head.write('\xfeSMB', 'latin1');
        head.writeUInt16LE(64, 4);
        head.writeUInt16LE(command, 12);
        head.writeBigUInt64LE(5n, 24);
        return framed(Buffer.concat([head, body]));
      };
      const negotiate = Buffer.alloc(40);
      negotiate.writeUInt16LE(36, 0);
      negotiate.writeUInt16LE(2, 2);
      negotiate.writeUInt16LE(0x0202, 36);
      negotiate.writeUInt16LE(0x0210, 38);
      const talk = await Talk.to(decoy.port(445));
      const dialect = await talk.send(smb2(0, negotiate)).read(4 + 64 + 65);
      assert.equal(dialect.readUInt32BE(0), dialect.length - 4);
      assert.equal(dialect.readUInt32LE(4 + 8), 0);
      assert.equal(dialect.readBigUInt64LE(4 + 24), 5n);
      assert.equal(dialect.readUInt16LE(4 + 64 + 4), 0x0210);
      const session = await talk.send(smb2(1, Buffer.alloc(24))).read(4 + 64 + 9);
      assert.equal(session.readUInt32LE(4 + 8), 0xc000_006d);
      talk.close();
      const head = Buffer.concat([Buffer.from('\xffSMB', 'latin1'), Buffer.of(0x72), Buffer.alloc(27)]);
      const old = framed(Buffer.concat([head, hex('00 0c00'), Buffer.from('\x02NT LM 0.12\0', 'latin1')]));
      const none = await answer(decoy.port(139), Buffer.concat([hex('81000000'), old]), 4 + 4 + 37);
      assert.deepEqual(none.subarray(0, 4), hex('82000000'));
      assert.deepEqual(none.subarray(8 + 32), hex('01ffff0000'));
    }));

  const rdpRequest = (protocols: number): Buffer => hex(`03000013 0e e0 0000 0000 00 01 00 0800 0${protocols}000000`);
  const rdpAnswer = async (decoy: Decoy, protocols: number): Promise<number[]> => {
    const confirm = await answer(decoy.port(3389), rdpRequest(protocols), 19);
    assert.equal(confirm.readUInt16BE(2), 19);
    assert.equal(confirm[5], 0xd0);
    return [confirm[11] ?? -1, confirm.readUInt32LE(15)];
  };

  it('RDP agrees on what the client offers, and with RDP_ENABLE_NLA refuses a client without NLA', async () => {
    await withDecoy('rdp', {}, async (decoy) => {
      assert.deepEqual(await rdpAnswer(decoy, 0), [2, 0]);
      assert.deepEqual(await rdpAnswer(decoy, 3), [2, 1]);
    });
    await withDecoy('rdp', { RDP_ENABLE_NLA: 'true' }, async (decoy) => {
      assert.deepEqual(await rdpAnswer(decoy, 1), [3, 5]);
      assert.deepEqual(await rdpAnswer(decoy, 3), [2, 2]);
    });
  });

  it('Modbus answers every function with an exception', () =>
    withDecoy('conpot', {}, async (decoy) => {
      assert.deepEqual(
        await answer(decoy.port(502), hex('0001 0000 0006 01 03 0000 0001'), 9),
        hex('0001 0000 0003 01 83 02'),
      );
      assert.deepEqual(await answer(decoy.port(502), hex('0002 0000 0002 01 63'), 9), hex('0002 0000 0003 01 e3 01'));
    }));
});
