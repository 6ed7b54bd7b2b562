import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import catalog from '../../fleet/catalog.json' with { type: 'json' };
import { ask, Decoy, startDecoy, Talk, withDecoy } from '../support/docker/decoys.ts';

const SERVICES = catalog.services.filter((service) => service.selectable_for_deckies);
/** Fixed ports of these tests: catalogue port + this; below the range from which systems take ports of their choosing. */
const OFFSET = 21_000;
const PROGRAM = fileURLToPath(new URL('../../decoys/program/main.mjs', import.meta.url));
const QUESTION = Buffer.concat([Buffer.from('\0\x01'), Buffer.alloc(300, 0xff)]);

describe('decoys: the program', function () {
  this.timeout(60_000);

  it('listens on every port of every service of the catalogue, and ends at once when told', async () => {
    for (const service of SERVICES) {
      const decoy = await startDecoy(service.name);
      const ports = new Set(decoy.lines[0]?.ports?.map((port) => port.port));
      assert.deepEqual([...ports].sort(), [...service.default_ports].sort(), service.name);
      decoy.child.kill('SIGTERM');
      assert.equal(await decoy.exited, 0, service.name);
    }
  });

  it('an unknown service, and a port that somebody has, end it with a sentence and 1', async () => {
    const unknown = new Decoy('sniffer', {});
    assert.match((await unknown.line((line) => line.event === 'fatal')).message ?? '', /unknown service "sniffer"/);
    assert.equal(await unknown.exited, 1);
    const taken = createServer().listen(OFFSET + 21, '127.0.0.1');
    await once(taken, 'listening');
    const late = new Decoy('ftp', { DECOY_PORTS: '', DECOY_PORT_OFFSET: String(OFFSET) });
    const line = await late.line((each) => each.event === 'fatal');
    assert.deepEqual([line.local_port, line.transport], [OFFSET + 21, 'tcp']);
    assert.match(line.message ?? '', /EADDRINUSE/);
    assert.equal(await late.exited, 1);
    taken.close();
  });

  it('gives up a sideline port to the service of the same decky that lives from it, in either order', async () => {
    const fixed = { DECOY_PORTS: '', DECOY_PORT_OFFSET: String(OFFSET) };
    const conpot = await startDecoy('conpot', fixed);
    const snmp = await startDecoy('snmp', fixed);
    await conpot.line((line) => line.event === 'note' && /161 \(udp\) given/.test(line.message ?? ''));
    const https = await startDecoy('https', fixed);
    const http = await startDecoy('http', fixed);
    await conpot.line((line) => line.event === 'note' && /80 \(tcp\) given/.test(line.message ?? ''));
    assert.deepEqual(
      http.lines.at(-1)?.ports?.map((port) => port.port),
      [80],
    );
    const modbus = await Talk.to(OFFSET + 502);
    await modbus.send(Buffer.from([0, 1, 0, 0, 0, 2, 1, 99])).read(9);
    modbus.close();
    await Promise.all([conpot, snmp, https, http].map((decoy) => decoy.stop()));
  });

  it('writes one JSON line per connection, with the peer and its first bytes', () =>
    withDecoy('ftp', {}, async (decoy) => {
      const talk = await Talk.to(decoy.port(21));
      const local = talk.socket.localPort;
      await talk.send(`USER ${'x'.repeat(300)}\\\r\n`).read(/331/);
      talk.send('QUIT\r\n');
      await talk.rest();
      const line = await decoy.line((each) => each.event === 'connection');
      assert.deepEqual(
        [line.service, line.decky, line.peer_address, line.peer_port],
        ['ftp', 'decky-1', '127.0.0.1', local],
      );
      assert.deepEqual([line.local_port, line.transport], [decoy.port(21), 'tcp']);
      assert.equal(line.first_bytes, `USER ${'x'.repeat(251)}`);
      assert.ok(!Number.isNaN(Date.parse(line.time)));
      assert.equal(decoy.lines.filter((each) => each.event === 'connection').length, 1);
    }));

  it('never prints a configured password, also when a peer guesses it', () =>
    withDecoy('telnet', { TELNET_ROOT_PASSWORD: 'blue-heron-9' }, async (decoy) => {
      const talk = await Talk.to(decoy.port(23));
      talk.send('root\r\nblue-heron-9\r\nroot\r\nblue-heron-9\r\nroot\r\nx\r\n');
      await talk.rest();
      const line = await decoy.line((each) => each.event === 'connection');
      assert.match(line.first_bytes ?? '', /^root\\r\\n\*\*\*\\r\\n/);
      assert.doesNotMatch(JSON.stringify(decoy.lines), /heron/);
    }));

  /** A decoy whose log nobody reads, after more lines than its queue and the pipe can hold. */
  async function unread(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [PROGRAM, 'tftp'], {
      env: { DECOY_HOST: '127.0.0.1', DECOY_PORT_OFFSET: String(OFFSET), NODE_NAME: 'x' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await answered();
    const socket = createSocket('udp4');
    for (let at = 0; at < 6_000; at += 1) {
      socket.send(QUESTION, OFFSET + 69, '127.0.0.1');
      // The kernel holds some 200 datagrams for a process that is not scheduled, and drops the rest.
      if (at % 50 === 0) await setTimeout(5);
    }
    socket.close();
    return child;
  }

  /** Asks until an answer comes: the decoy answers one peer only so often in a second. */
  async function answered(): Promise<void> {
    for (let tries = 0; tries < 100; tries += 1) {
      const answer = await ask(OFFSET + 69, QUESTION, 100);
      if (answer) return assert.match(String(answer), /File not found/);
    }
    assert.fail('no answer');
  }

  it('goes on when nobody reads its log, and says later how much it dropped', async () => {
    const child = await unread();
    try {
      await answered();
      let output = '';
      for await (const chunk of child.stdout ?? []) {
        output += String(chunk);
        if (/"event":"dropped","lines":\d+/.test(output)) break;
      }
      assert.match(output, /"event":"dropped","lines":\d+/);
    } finally {
      child.kill('SIGKILL');
    }
  });

  // A thread that is blocked in a write would keep process.exit() waiting.
  it('ends when told, also while nobody reads its log', async () => {
    const child = await unread();
    const exit = once(child, 'exit');
    const late = AbortSignal.timeout(20_000);
    late.addEventListener('abort', () => child.kill('SIGKILL'));
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
  });
});
