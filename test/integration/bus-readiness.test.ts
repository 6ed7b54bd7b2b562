/** A bus that can't store events is told by whoever looks: /readyz, the worker's log, `npm start` and doctor; one that hangs holds nobody up. */
import assert from 'node:assert/strict';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { createBus, probeBus } from '../../adapters/nats/bus.ts';
import { EVENT_STREAM } from '../../fleet/lifecycle.ts';
import { diagnoseNats } from '../../stack/doctor.ts';
import { busNote } from '../../stack/nats.ts';
import { createApiHarness } from '../support/master/api-harness.ts';
import { type NatsServer, startNats } from '../support/servers/nats-server.ts';

const withRoom = (room: string) => (directory: string) =>
  `jetstream { store_dir: "${directory}", max_file_store: ${room} }`;
const MAY_NOT_PUBLISH_API = (directory: string): string => `jetstream { store_dir: "${directory}" }
authorization { users: [ { user: a, password: b, permissions: { publish: { deny: "$JS.API.>" } } } ], }`;

describe('a bus that can’t store events', function () {
  this.timeout(60_000);
  let nats: NatsServer | null = null;
  afterEach(async () => {
    nats?.signal('SIGCONT');
    await nats?.stop();
    nats = null;
  });

  /** What /readyz, doctor and the screen say of the bus at an address. */
  async function said(url: string) {
    const bus = createBus(url);
    const api = await createApiHarness({ deps: () => ({ probes: { nats: () => probeBus(bus) } }) });
    try {
      const { status, json } = await api.call('GET', '/readyz');
      const { checks, status: word } = json as unknown as { checks: Record<string, string>; status: string };
      const { nats: check = '' } = checks;
      return { status, word, check, doctor: await diagnoseNats({ NATS_URL: url }), screen: await busNote(url) };
    } finally {
      await bus.close();
      await api.close();
    }
  }
  async function withStream(url: string, name: string, subjects: string[]): Promise<void> {
    const nc = await connect({ servers: url, reconnect: false });
    await (await jetstreamManager(nc)).streams.add({ name, subjects });
    await nc.close();
  }

  // proof: field-3.5-2
  for (const [what, config, words] of [
    ['too little storage', withRoom('1MB'), /can’t keep events: insufficient storage.*max_file_store/],
    ['no JetStream', () => '', /has no JetStream: .*-js/],
    ['no entrance', () => 'authorization { user: a, password: b }', /refuses Deckhand: .*Authorization Violation/],
    ['no rights', MAY_NOT_PUBLISH_API, /refuses Deckhand: .*Permissions Violation/],
  ] as const)
    it(`makes /readyz 503 with NATS’s own words: ${what}`, async () => {
      nats = await startNats(config);
      const url = what === 'no rights' ? nats.url.replace('//', '//a:b@') : nats.url;
      const { status, word, check, doctor, screen } = await said(url);
      assert.deepEqual([status, word], [503, 'not ready'], check);
      for (const sentence of [check, doctor.found, screen ?? '']) assert.match(sentence, words);
      assert.equal(doctor.status, 'missing');
      assert.equal(check.includes('a:b@'), false);
    });

  // proof: field-3.5-2
  for (const [name, subjects, words] of [
    [EVENT_STREAM, ['orders.>'], /its stream DECKHAND_EVENTS has the subjects orders\.> instead of decky\.>/],
    [EVENT_STREAM, ['decky.>', 'orders.>'], /has the subjects decky\.>, orders\.> instead of decky\.>/],
    ['THEIRS', ['decky.*.lifecycle'], /its stream THEIRS has subjects of decky\.>/],
  ] as const)
    it(`makes /readyz 503 where a stream is in the way: ${name} over ${subjects}`, async () => {
      nats = await startNats();
      await withStream(nats.url, name, [...subjects]);
      const { status, check, doctor } = await said(nats.url);
      assert.equal(status, 503);
      for (const sentence of [check, doctor.found]) assert.match(sentence, words);
      assert.match(check, /Remove or rename that stream/);
    });

  // proof: field-3.5-3
  it('keeps /readyz 200 where it is out of reach, and says so', async () => {
    const { status, word, check, doctor } = await said('nats://127.0.0.1:1');
    assert.deepEqual([status, word], [200, 'ready']);
    assert.match(check, /^unreachable: NATS at nats:\/\/127\.0\.0\.1:1 can’t be reached \(.*ECONNREFUSED/);
    assert.equal(doctor.status, 'missing');
  });

  // proof: field-3.5-3
  it('keeps /readyz 200 where it hangs, new or known', async () => {
    nats = await startNats();
    const bus = createBus(nats.url);
    assert.equal(await probeBus(bus), undefined);
    nats.signal('SIGSTOP');
    assert.match((await probeBus(bus))?.degraded ?? '', /^unreachable: /);
    const { status, check } = await said(nats.url);
    assert.equal(status, 200);
    assert.match(check, /^unreachable: /);
    nats.signal('SIGCONT');
    await bus.close();
  });

  // proof: field-3.5-2
  it('is noticed by a connection that was well before', async () => {
    nats = await startNats();
    const bus = createBus(nats.url);
    await bus.ping();
    const nc = await connect({ servers: nats.url, reconnect: false });
    const { streams } = await jetstreamManager(nc);
    await streams.delete(EVENT_STREAM);
    await withStream(nats.url, 'THEIRS', ['decky.a.>']);
    await assert.rejects(probeBus(bus), /its stream THEIRS/);
    await streams.delete('THEIRS');
    assert.equal(await probeBus(bus), undefined, 'the stream is made again');
    assert.equal((await streams.info(EVENT_STREAM)).config.name, EVENT_STREAM);
    await Promise.all([bus.close(), nc.close()]);
  });

  // proof: field-3.5-4
  it('with room for a smaller stream only is ready; bus, doctor and screen tell what it keeps', async () => {
    nats = await startNats(withRoom('900MB'));
    const smaller = /keeps 512 MiB of events instead of 1 GiB/;
    const before = await diagnoseNats({ NATS_URL: nats.url });
    assert.equal(before.status, 'warn');
    assert.match(before.found, smaller);
    const nc = await connect({ servers: nats.url, reconnect: false });
    assert.deepEqual(await (await jetstreamManager(nc)).streams.list().next(), [], 'the diagnosis leaves nothing');
    await nc.close();
    const notices: string[] = [];
    const bus = createBus(nats.url, 'small', { notice: (sentence) => notices.push(sentence) });
    await bus.ping();
    await bus.close();
    assert.match(notices.join(), smaller);
    const { status, check, doctor, screen } = await said(nats.url);
    assert.deepEqual([status, check], [200, 'ok']);
    for (const sentence of [doctor.found, screen ?? '']) assert.match(sentence, smaller);
  });

  // proof: field-1.7-4
  it('holds up neither a ping nor the end of its user where it hangs', async () => {
    nats = await startNats();
    const bus = createBus(nats.url);
    await bus.ping();
    nats.signal('SIGSTOP');
    const ended = Promise.all([bus.ping().catch((error: Error) => error.message), bus.close()]);
    assert.match((await ended)[0] ?? '', /can’t be reached/);
  });
});
