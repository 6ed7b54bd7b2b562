/** Events on connections of their own: what is written past the answer comes whole, in order, and in the client's HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { OpenAPIHono } from '@hono/zod-openapi';
import type { StreamedEvent } from '../../adapters/nats/event-log.ts';
import { EventReader, READER_LIMIT } from '../../adapters/nats/event-stream.ts';
import { openAuthority } from '../../adapters/pki/authority.ts';
import type { ApiEnv } from '../../api/environment.ts';
import { eventChunks } from '../../api/routes/events.ts';
import { type RunningServer, startServer } from '../../api/server.ts';
import { until } from '../support/until.ts';

const event = (sequence: number, padding = ''): StreamedEvent => ({
  sequence,
  origin: { deckyName: 'web-01', deploymentId: 'd', hostUuid: null },
  envelope: { v: 1, id: 'x', topic: 't', type: 'lifecycle', ts: 0, payload: { padding } },
});
const idsIn = (text: string): number[] => [...text.matchAll(/^id: (\d+)\nevent: /gm)].map(([, id]) => Number(id));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('events on a connection', () => {
  const readers: EventReader[] = [];
  const sockets: Socket[] = [];
  let app: OpenAPIHono<ApiEnv>;
  let server: RunningServer;
  let url: string;
  let answerSlow: () => void = () => undefined;

  before(async () => {
    app = new OpenAPIHono<ApiEnv>();
    app.get('/slow', async (c) => {
      await new Promise<void>((resolve) => {
        answerSlow = resolve;
      });
      return c.text('first');
    });
    app.get('/events', (c) => {
      const reader = new EventReader(
        () => true,
        0,
        () => undefined,
      );
      readers.push(reader);
      const hooks = { allowed: async () => true, left: () => reader.end('left'), outgoing: c.env.outgoing };
      return c.body(eventChunks(reader, hooks), 200, { 'content-type': 'text/event-stream' });
    });
    server = await startServer(app, { host: '127.0.0.1', port: 0 });
    url = `http://127.0.0.1:${server.port}`;
  });
  afterEach(() => {
    for (const reader of readers.splice(0)) reader.end('over');
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(() => server.stop());

  async function readerOf(count = 1): Promise<EventReader> {
    await until('a reader', () => readers.length >= count);
    return readers[count - 1] as EventReader;
  }
  /** The socket, and all that came by it so far. */
  function ask(request: string): { socket: Socket; text: () => string } {
    const socket = connect(server.port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    socket.setEncoding('utf8').on('data', (data: string) => {
      text += data;
    });
    socket.write(request);
    return { socket, text: () => text };
  }

  // proof: event-readers
  it('are whole chunks for HTTP/1.1, and the answer ends as one', async () => {
    const answer = await fetch(`${url}/events`);
    const text = answer.text();
    const reader = await readerOf();
    for (const sequence of upTo(5)) {
      reader.offer([event(sequence, 'ä'.repeat(sequence))]);
      // Each in a write of its own: the next is offered when this one was taken.
      await until('the write', () => reader.waiting === 0);
    }
    reader.end('The master stops.');
    assert.equal(answer.headers.get('transfer-encoding'), 'chunked');
    assert.deepEqual(idsIn(await text), upTo(5));
    assert.match(await text, /event: end\ndata: \{"detail":"The master stops\."\}\n\n$/);
  });

  it('are the same over TLS', async () => {
    const home = mkdtempSync(join(tmpdir(), 'dh-events-'));
    const authority = await openAuthority(home);
    const { certPem: cert, keyPem: key } = await authority.issue({ name: 'api', sans: ['127.0.0.1'] });
    const tls = { current: () => ({ cert, key }), follow: () => () => undefined };
    const secure = await startServer(app, { host: '127.0.0.1', port: 0, tls });
    const asked = get({ host: '127.0.0.1', port: secure.port, path: '/events', ca: authority.caPem, agent: false });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const text = readText(response);
    const reader = await readerOf();
    for (const sequence of upTo(3)) {
      reader.offer([event(sequence)]);
      await until('the write', () => reader.waiting === 0);
    }
    reader.end('over');
    assert.deepEqual(idsIn(await text), upTo(3));
    await secure.stop();
    rmSync(home, { recursive: true });
  });

  it('are plain text for HTTP/1.0, which knows no chunks', async () => {
    const { socket, text } = ask('GET /events HTTP/1.0\r\nhost: a\r\n\r\n');
    const ended = once(socket, 'end');
    const reader = await readerOf();
    for (const sequence of upTo(3)) {
      reader.offer([event(sequence)]);
      await until('the write', () => reader.waiting === 0);
    }
    reader.end('over');
    await ended;
    const [, body = ''] = text().split('\r\n\r\n');
    assert.deepEqual(idsIn(body), upTo(3));
    assert.doesNotMatch(body, /\r/);
  });

  it('wait for the answer to the request before, on the same connection', async () => {
    const { text } = ask('GET /slow HTTP/1.1\r\nhost: a\r\n\r\nGET /events HTTP/1.1\r\nhost: a\r\n\r\n');
    const reader = await readerOf();
    for (const sequence of upTo(3)) reader.offer([event(sequence)]);
    await until('the write', () => reader.waiting === 0);
    answerSlow();
    await until('all events', () => idsIn(text()).length === 3);
    assert.ok(text().indexOf('first') < text().indexOf('id: 1\nevent'), text());
  });

  it('wait for a client that takes nothing, and come in order when it goes on', async () => {
    const { socket, text } = ask('GET /events HTTP/1.1\r\nhost: a\r\n\r\n');
    socket.pause();
    const reader = await readerOf();
    // More than any buffer on the way holds.
    const padding = 'x'.repeat(64 * 1024);
    let sent = 0;
    await until('a client behind', () => {
      for (let batch = 0; batch < 100 && reader.waiting < 200; batch += 1) reader.offer([event(++sent, padding)]);
      return reader.waiting >= 200;
    });
    assert.equal(reader.ended, null);
    socket.resume();
    await until('all events', () => idsIn(text()).length === sent);
    assert.deepEqual(idsIn(text()), upTo(sent));
  });

  it('end for a client that takes nothing while more come than may wait, and not for its neighbour', async () => {
    const { socket } = ask('GET /events HTTP/1.1\r\nhost: a\r\n\r\n');
    socket.pause();
    const blocked = await readerOf(1);
    const { text } = ask('GET /events HTTP/1.1\r\nhost: a\r\n\r\n');
    const free = await readerOf(2);
    const padding = 'x'.repeat(16 * 1024);
    let sent = 0;
    await until('the end of the one', () => {
      for (; blocked.ended === null && free.waiting < READER_LIMIT / 2; sent += 1)
        for (const reader of [blocked, free]) reader.offer([event(sent + 1, padding)]);
      return blocked.ended !== null;
    });
    assert.match(blocked.ended ?? '', /Last-Event-ID/);
    await until('all events', () => idsIn(text()).length === sent);
    assert.deepEqual(idsIn(text()), upTo(sent));
  });
});
