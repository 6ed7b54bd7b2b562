import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import catalog from '../../fleet/catalog.json' with { type: 'json' };
import { type Decoy, Talk, withDecoy } from '../support/docker/decoys.ts';

const SERVICES = catalog.services.filter((service) => service.selectable_for_deckies).map((service) => service.name);
/** Far above what a decoy needs (50 MB, of which 40 are Node's own), far below what the floods here would fill. */
const RSS_LIMIT_MB = 160;
/** Openings that bring a fuzzed message past a protocol's first look. */
const OPENINGS: Readonly<Record<string, readonly string[]>> = {
  ssh: ['SSH-2.0-x\r\n', 'SSH-2.0-x\r\n\0\0\0\x0c\x04\x14'],
  telnet: ['\xff\xfa', '\xff\xfd'],
  smtp: ['EHLO x\r\nAUTH LOGIN\r\n', 'MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n'],
  imap: ['a LOGIN {5}\r\n'],
  redis: ['*2\r\n$', '*'],
  postgres: ['\0\0\0\x10\0\x03\0\0user\0a\0\0'],
  mssql: ['\x10\x01\0\x40\0\0\x01\0', '\x12\x01\0\x14\0\0\x01\0'],
  mongodb: ['\x30\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0', '\x30\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0'],
  mqtt: ['\x10\x20\0\x04MQTT', '\x10\x20\0\x04MQTT\x05'],
  ldap: ['\x30\x20\x02\x01\x01\x60', '\x30\x20\x02\x01\x01\x77'],
  snmp: ['\x30\x20\x02\x01\x01\x04\x06public\xa0', '\x30\x20\x02\x01\0\x04\x06public\xa5'],
  dns: ['\0\x01\x01\0\0\x01\0\0\0\0\0\0', '\0\x01\x01\0\0\x01\0\0\0\0\0\x01\x01x\0\0\x01\0\x01\0\0\x29'],
  llmnr: ['\0\x01\0\0\0\x01\0\0\0\0\0\0'],
  sip: ['OPTIONS sip:a SIP/2.0\r\n', 'REGISTER sip:a SIP/2.0\r\nContent-Length: 9\r\n\r\n'],
  smb: ['\0\0\0\x50\xfeSMB', '\0\0\0\x30\xffSMB\x72'],
  rdp: ['\x03\0\0\x20', '\x03\0\0\x20\x1b\xe0'],
  vnc: ['RFB 003.008\n', 'RFB 003.003\n'],
  http: ['GET / HTTP/1.1\r\n', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  conpot: ['\0\x01\0\0\0\x06\x01', '\0\x01\0\0\0\x02'],
};

const rssMb = (decoy: Decoy): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${decoy.child.pid}/status`, 'utf8'))?.[1]) / 1024;

/** Alive, and no handler threw anything but what it means to throw. */
function unharmed(decoy: Decoy, what: string): void {
  assert.equal(decoy.child.exitCode, null, what);
  const errors = decoy.lines.filter((line) => line.event === 'error');
  assert.deepEqual(errors, [], what);
  if (process.platform === 'linux') assert.ok(rssMb(decoy) < RSS_LIMIT_MB, `${what}: ${rssMb(decoy)} MB`);
}

/** Writes and hangs up; whatever the decoy does with it is right as long as it goes on. */
async function throwAt(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  socket.end(bytes);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await Promise.race([closed, setTimeout(300)]);
  socket.destroy();
  await closed;
}

async function throwDatagrams(port: number, datagrams: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket('udp4');
  for (const bytes of datagrams) await new Promise<void>((sent) => socket.send(bytes, port, '127.0.0.1', () => sent()));
  socket.close();
}

describe('decoys: hostile input', function () {
  this.timeout(120_000);

  for (const service of SERVICES)
    it(`${service} takes garbage, truncated and fuzzed messages without harm`, async () => {
      const openings = ['', ...(OPENINGS[service] ?? [])].map((text) => Buffer.from(text, 'latin1'));
      const messages = fc.sample(
        fc.tuple(fc.constantFrom(...openings), fc.uint8Array({ maxLength: 400 })).map((parts) => Buffer.concat(parts)),
        { numRuns: 60, seed: 4711 },
      );
      await withDecoy(service, {}, async (decoy) => {
        for (const { transport, bound } of decoy.lines[0]?.ports ?? []) {
          if (transport === 'udp') await throwDatagrams(bound, messages);
          else await Promise.all(messages.map((message) => throwAt(bound, message)));
          if (transport !== 'udp') await throwAt(bound, randomBytes(100_000));
        }
        unharmed(decoy, service);
      });
    });

  const greeted = async (decoy: Decoy): Promise<void> => {
    const talk = await Talk.to(decoy.port(21));
    await talk.read(/^220 /);
    talk.close();
  };

  it('a connection that goes on and on is cut, a line without an end too', () =>
    withDecoy('ftp', {}, async (decoy) => {
      for (const chunk of [Buffer.alloc(64 * 1024, 'x'), Buffer.from('NOOP\r\n'.repeat(10_000))]) {
        const talk = await Talk.to(decoy.port(21));
        for (let sent = 0; sent < 10 * 1024 * 1024 && !talk.closed; sent += chunk.length)
          await new Promise<void>((written) => talk.socket.write(chunk, () => written()));
        await talk.rest();
        talk.close();
      }
      await greeted(decoy);
      unharmed(decoy, 'endless');
    }));

  it('a peer that never reads what it asked for is cut', () =>
    withDecoy('redis', {}, async (decoy) => {
      const talk = await Talk.to(decoy.port(6379));
      talk.socket.pause();
      // 600 KB of questions, 50 MB of answers.
      talk.send('INFO\r\n'.repeat(100_000));
      // A socket that is not read from notices its end only by writing.
      const timer = setInterval(() => talk.send('PING\r\n'), 50);
      await talk.rest();
      clearInterval(timer);
      unharmed(decoy, 'unread answers');
    }));

  it('hundreds of silent connections do not lock the door', () =>
    withDecoy('ftp', {}, async (decoy) => {
      const talks: Talk[] = [];
      try {
        // Fewer at once than its backlog (128): the kernel says "connected" to more, and takes them in when it tries again, up to a minute later.
        for (let lot = 0; lot < 5; lot += 1) {
          const more = await Promise.all(Array.from({ length: 60 }, () => Talk.to(decoy.port(21))));
          talks.push(...more);
          await Promise.all(more.map((talk) => talk.read(/^220 /).catch(() => null)));
        }
        await greeted(decoy);
        await decoy.line((line) => line.event === 'full');
        // A peer has 64; the others had to make room for later ones, and it takes a moment until they see it.
        const standing = (): number => talks.filter((talk) => !talk.closed).length;
        for (let looks = 0; standing() > 64 && looks < 500; looks += 1) await setTimeout(20);
        assert.ok(standing() > 0 && standing() <= 64, `${standing()} stand`);
        unharmed(decoy, 'many connections');
      } finally {
        for (const talk of talks) talk.close();
      }
    }));

  it('who says nothing is cut, also in the middle of a TLS handshake', () =>
    withDecoy('http', { DECOY_IDLE_MS: '400' }, async (decoy) => {
      const silent = await Talk.to(decoy.port(80));
      await silent.rest();
      const inTls = await Talk.to(decoy.port(443));
      await inTls.send('\x16\x03\x01').rest();
      unharmed(decoy, 'silent');
    }));

  it('who says a byte now and then is cut in the end', () =>
    withDecoy('http', { DECOY_LIFETIME_MS: '1500' }, async (decoy) => {
      const slow = await Talk.to(decoy.port(80));
      slow.send('GET / HTTP/1.1\r\nX: ');
      const timer = setInterval(() => slow.send('y'), 100);
      await slow.rest();
      clearInterval(timer);
      await decoy.line((line) => line.event === 'connection' && /X: y+$/.test(line.first_bytes ?? ''));
      unharmed(decoy, 'slow');
    }));
});
