import assert from 'node:assert/strict';
import { Client, Connection } from '@temporalio/client';
import { openDatabase } from '../../adapters/postgres/connect.ts';
import { createDriftReader } from '../../adapters/postgres/drift.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createHostReports } from '../../adapters/postgres/host-reports.ts';
import { recordTransitions } from '../../adapters/postgres/lifecycle.ts';
import { createReportSignals } from '../../adapters/temporal/reports.ts';
import type { DeckyConfig } from '../../fleet/config.ts';
import { freePort } from '../support/free-port.ts';
import { createSwarmHarness, SECRET, type SwarmHarness } from '../support/swarm-harness.ts';

type Enrolled = Awaited<ReturnType<SwarmHarness['enroll']>>;

/** A status in which these deckies run, or don't. */
function statusOf(deckies: readonly DeckyConfig[], running: boolean | null = true, more: object = {}): object {
  const runtime = (decky: DeckyConfig): [string, object] => [
    decky.name,
    { running, services: { ssh: running ? 'running' : 'exited' } },
  ];
  return {
    deployed: true,
    mode: 'swarm',
    deckies,
    runtime: running === null ? {} : Object.fromEntries(deckies.map(runtime)),
    ...more,
  };
}

const OURS = { deckhand: { version: '0.1.0', network: null, work: [], deckies: {}, unreported: 0 } };

describe('heartbeats', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  let host: Enrolled;
  let number = 0;
  const fresh = (): string => `d${++number}`;

  beforeEach(async () => {
    swarm = await createSwarmHarness();
    host = await swarm.enroll('h1');
  });
  afterEach(() => swarm.close());

  const sql = () => swarm.api.database.sql;
  async function deployed(...names: string[]) {
    const rows = await swarm.deploy(names);
    const ids = rows.map((row) => row.id);
    const workflowId = await swarm.workflowOf(ids[0] ?? '');
    const [operation] = await sql()<{ deployment_id: string }[]>`
      select deployment_id from decky_lifecycle where id = ${ids[0] ?? ''}`;
    return { ids, workflowId, operationId: operation?.deployment_id ?? '' };
  }
  const delta = (name: string, more: object = {}): object => ({
    decky_name: name,
    operation: 'deploy',
    status: 'succeeded',
    ...more,
  });
  const told = async (workflowId: string) =>
    (await swarm.reportsTo(workflowId)).map((report) => report.reports.map((one) => one.deckyName));
  const fleet = async (name: string) => {
    const [row] = await sql()<
      {
        state: string;
        decky_ip: string;
        last_error: string | null;
        config: DeckyConfig;
        established: { config: DeckyConfig } | null;
      }[]
    >`select state, decky_ip, last_error, decky_config as config, established from fleet_deckies where name = ${name}`;
    return row ?? assert.fail(`no decky ${name}`);
  };
  const shards = async () => (await swarm.ports.reports.shards()).map((shard) => [shard.decky_name, shard.state]);
  const end = async (ids: readonly string[], status: 'succeeded' | 'failed' = 'succeeded') => {
    const rows = await swarm.rows(ids);
    await recordTransitions(
      sql(),
      rows.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name, status })),
    );
  };
  const configs = async (names: readonly string[]): Promise<DeckyConfig[]> =>
    Promise.all(names.map(async (name) => (await fleet(name)).config));

  describe('deltas', () => {
    it('reach the workflow that owns the rows, in one signal and in their order', async () => {
      const [a, b] = [fresh(), fresh()];
      const { ids, workflowId } = await deployed(a, b);
      await swarm.dispatch(ids);
      const answer = await swarm.heartbeat(host, {
        lifecycle: [delta(b, { status: 'running' }), delta(a), delta(b, { seen: 'running' })],
      });
      assert.equal(answer.status, 204);
      const [report, ...others] = await swarm.reportsTo(workflowId);
      assert.deepEqual(others, []);
      assert.equal(report?.hostUuid, host.host.uuid);
      assert.deepEqual(
        report?.reports.map((one) => [one.deckyName, one.status, one.seen, one.fence]),
        [
          [b, 'running', null, null],
          [a, 'succeeded', null, null],
          [b, 'succeeded', 'running', null],
        ],
      );
      assert.deepEqual(
        report?.reports.map((one) => one.lifecycleId),
        [ids[1], ids[0], ids[1]],
      );
    });

    it('an empty heartbeat signals nobody', async () => {
      const { ids, workflowId } = await deployed(fresh());
      await swarm.dispatch(ids);
      for (const lifecycle of [undefined, null, []])
        assert.equal((await swarm.heartbeat(host, { lifecycle })).status, 204);
      assert.deepEqual(await told(workflowId), []);
    });

    it('one of nonsense among good ones costs itself only (A10)', async () => {
      const [a, b] = [fresh(), fresh()];
      const { ids, workflowId } = await deployed(a, b);
      await swarm.dispatch(ids);
      const nonsense = [
        {},
        { x: 1 },
        delta(a, { status: 'exploded' }),
        delta(a, { status: 'pending' }),
        delta(a, { operation: 'explode' }),
        delta(''),
        delta('a.b c'),
        delta(`${a}\u0000`),
        delta(a, { operation_id: 'half a fence' }),
        { decky_name: 7, operation: 'deploy', status: 'succeeded' },
      ];
      const status = statusOf([], true, { deckies: [{ name: 'half' }, 7, { name: 'z\u0000' }] });
      const answer = await swarm.heartbeat(host, { status, lifecycle: [delta(a), ...nonsense, delta(b)] });
      assert.equal(answer.status, 204, answer.text);
      assert.deepEqual(await told(workflowId), [[a, b]]);
    });

    it('a list that is none is refused whole', async () => {
      for (const lifecycle of ['x', { a: 1 }, [7]]) {
        const answer = await swarm.heartbeat(host, { lifecycle });
        assert.equal(answer.status, 422);
        assert.ok(Array.isArray(answer.json.detail));
      }
      assert.equal((await swarm.hosts.get(host.host.uuid))?.status, 'enrolled');
    });

    it('for a decky of another host change nothing, and so does another host’s certificate', async () => {
      const { ids, workflowId } = await deployed(fresh());
      await swarm.dispatch(ids);
      const [row] = await swarm.rows(ids);
      const other = await swarm.enroll('h2');
      const body = { lifecycle: [delta(row?.decky_name ?? '')] };
      assert.equal((await swarm.heartbeat(other, body)).status, 204);
      const posing = await swarm.heartbeat({ host: host.host, identity: other.identity }, body);
      assert.deepEqual([posing.status, posing.json.detail], [403, 'cert fingerprint mismatch']);
      assert.deepEqual(await told(workflowId), []);
      assert.equal((await swarm.hosts.get(host.host.uuid))?.status, 'enrolled', 'a stranger is no sign of life');
    });

    it('of an agent with fences belong to one operation (A8)', async () => {
      const name = fresh();
      const { ids, workflowId, operationId } = await deployed(name);
      await swarm.dispatch(ids);
      const fence = { operation_id: operationId, attempt: 2, sequence: 17 };
      const status = { deployed: false, deckies: [], ...OURS };
      const lifecycle = [
        delta(name, { ...fence, operation_id: 'an earlier one' }),
        delta(name),
        delta(name, { ...fence, operation: 'mutate' }),
        delta(name, fence),
      ];
      assert.equal((await swarm.heartbeat(host, { status, lifecycle })).status, 204);
      const reports = (await swarm.reportsTo(workflowId)).flatMap((report) => report.reports);
      assert.deepEqual(
        reports.map((report) => report.fence),
        [{ attempt: 2, sequence: 17 }],
      );
      assert.equal((await swarm.hosts.get(host.host.uuid))?.fenced, true);
      // What had fences once has them always: without `deckhand` in the status too.
      assert.equal((await swarm.heartbeat(host, { lifecycle: [delta(name)] })).status, 204);
      assert.equal((await told(workflowId)).length, 1);
    });

    it('without fences count from the dispatch on, by the corrected clock (A8)', async () => {
      const name = fresh();
      const { ids, workflowId } = await deployed(name);
      const report = (completed: number) =>
        swarm.heartbeat(host, { lifecycle: [delta(name, { completed_at: new Date(completed).toISOString() })] });
      assert.equal((await report(Date.now())).status, 204);
      assert.deepEqual(await told(workflowId), [], 'the row was not dispatched yet');
      await swarm.dispatch(ids);
      const now = Date.now();
      await report(now - 10_000);
      assert.deepEqual(await told(workflowId), [], 'it ended before the dispatch');
      await swarm.hosts.markReachable(host.host.uuid, { clockOffsetMs: -9_000 });
      await report(now - 10_000);
      assert.equal((await told(workflowId)).length, 1, 'its clock is 9 s behind ours');
    });

    it('carry no secret, and no more than 2000 characters', async () => {
      const name = fresh();
      const { ids, workflowId } = await deployed(name);
      await swarm.dispatch(ids);
      const error = `CalledProcessError: --password=${SECRET} ${'x'.repeat(3_000)}`;
      await swarm.heartbeat(host, { lifecycle: [delta(name, { status: 'failed', error })] });
      const [report] = (await swarm.reportsTo(workflowId)).flatMap((one) => one.reports);
      assert.equal(report?.error?.length, 2_000);
      assert.ok(!report?.error?.includes(SECRET));
      assert.match(report?.error ?? '', /^CalledProcessError: --password=\[cut\] x/);
    });

    it('for a row that has ended change nothing', async () => {
      const name = fresh();
      const { ids, workflowId } = await deployed(name);
      await swarm.dispatch(ids);
      await end(ids);
      assert.equal((await swarm.heartbeat(host, { lifecycle: [delta(name, { status: 'failed' })] })).status, 204);
      assert.deepEqual(await told(workflowId), []);
      assert.equal((await swarm.rows(ids))[0]?.status, 'succeeded');
    });

    it('are not acknowledged while the workflow is gone and the row open', async () => {
      const name = fresh();
      const { ids, workflowId } = await deployed(name);
      await swarm.dispatch(ids);
      await swarm.terminate(workflowId);
      const answer = await swarm.heartbeat(host, { lifecycle: [delta(name)] });
      assert.equal(answer.status, 503);
      assert.match(String(answer.headers['retry-after']), /^\d+$/);
      assert.match(answer.json.detail, /Keep the report and send it again/);
    });
  });

  it('deltas are not acknowledged while Temporal is away, though the host is seen', async () => {
    await swarm.close();
    const connection = Connection.lazy({ address: `127.0.0.1:${await freePort()}` });
    const away = createReportSignals(new Client({ connection }));
    swarm = await createSwarmHarness({ signals: () => away });
    host = await swarm.enroll('h1');
    const name = fresh();
    const { ids } = await deployed(name);
    await swarm.dispatch(ids);
    const answer = await swarm.heartbeat(host, { lifecycle: [delta(name)] });
    assert.deepEqual([answer.status, answer.headers['deckhand-error-code']], [503, 'Unavailable']);
    assert.equal((await swarm.hosts.get(host.host.uuid))?.status, 'active');
    // The client's last try may be under way yet: its channel is left to the end of the process.
  });

  it('nothing is acknowledged while PostgreSQL is away', async () => {
    await swarm.close();
    const away = openDatabase(`postgres://nobody@127.0.0.1:${await freePort()}/nothing`);
    swarm = await createSwarmHarness({ reports: createHostReports(away) });
    host = await swarm.enroll('h1');
    const answer = await swarm.heartbeat(host);
    assert.deepEqual([answer.status, answer.headers['deckhand-error-code']], [503, 'Unavailable']);
    assert.match(String(answer.headers['retry-after']), /^\d+$/);
    await away.end({ timeout: 0 });
  });

  it('in a burst the deltas go first, and the report waits for the next heartbeat', async () => {
    await swarm.close();
    swarm = await createSwarmHarness({ busyAt: 0 });
    host = await swarm.enroll('h1');
    const name = fresh();
    const { ids, workflowId, operationId } = await deployed(name);
    await swarm.dispatch(ids);
    const status = statusOf(await configs([name]), true, OURS);
    const lifecycle = [delta(name, { operation_id: operationId, attempt: 1, sequence: 1 })];
    assert.equal((await swarm.heartbeat(host, { status, lifecycle })).status, 204);
    assert.deepEqual([await told(workflowId), await shards()], [[[name]], []]);
    const seen = await swarm.hosts.get(host.host.uuid);
    assert.deepEqual([seen?.status, seen?.fenced], ['active', true]);
    await swarm.heartbeat(host, { status });
    assert.deepEqual(await shards(), [[name, 'running']]);
  });

  describe('what is reported', () => {
    it('an unchanged report only stamps the host', async () => {
      const { ids } = await deployed(fresh());
      await swarm.dispatch(ids);
      await end(ids);
      const [row] = await swarm.rows(ids);
      const status = statusOf(await configs([row?.decky_name ?? '']));
      await swarm.heartbeat(host, { status });
      const read = () =>
        sql()`select s.xmin::text as shard, h.report_hash, h.report_taken_at, h.reported_at
          from decky_shards s join swarm_hosts h on h.uuid = s.host_uuid`;
      const [before] = await read();
      await swarm.heartbeat(host, { status });
      const [after] = await read();
      assert.ok(before?.report_hash);
      assert.deepEqual({ ...after, reported_at: 0 }, { ...before, reported_at: 0 });
      assert.ok(after?.reported_at > before?.reported_at);
    });

    it('states of the fleet are what was seen, where no row is open (B8)', async () => {
      const [a, b] = [fresh(), fresh()];
      const first = await deployed(a);
      await swarm.dispatch(first.ids);
      await end(first.ids);
      const second = await deployed(b);
      await swarm.dispatch(second.ids);
      await swarm.heartbeat(host, { status: statusOf(await configs([a, b]), false) });
      assert.deepEqual(
        [(await fleet(a)).state, (await fleet(a)).last_error],
        ['degraded', 'Its host says: ssh is exited.'],
      );
      assert.equal((await fleet(b)).state, 'pending', 'its row is open: the workflow writes it');
      await swarm.heartbeat(host, { status: statusOf(await configs([a, b]), null) });
      assert.equal((await fleet(a)).state, 'degraded', 'an engine that says nothing proves nothing');
      await swarm.heartbeat(host, { status: statusOf(await configs([a, b]), true) });
      assert.deepEqual([(await fleet(a)).state, (await fleet(a)).last_error], ['running', null]);
    });

    it('the address that is reported is the decky’s, once no row is open (B12)', async () => {
      const name = fresh();
      const { ids } = await deployed(name);
      await swarm.dispatch(ids);
      const [config] = await configs([name]);
      assert.ok(config);
      const status = statusOf([{ ...config, ip: '10.201.1.7' }], true, OURS);
      await swarm.heartbeat(host, { status });
      assert.equal((await fleet(name)).decky_ip, config.ip);
      await end(ids);
      await swarm.heartbeat(host, { status });
      const { decky_ip, config: desired, established } = await fleet(name);
      assert.deepEqual([decky_ip, desired.ip, established?.config.ip], Array(3).fill('10.201.1.7'));
      // An additive deploy keeps clear of it.
      const listed = await swarm.api.call('GET', '/api/v1/deckies', { token: swarm.admin });
      assert.equal(listed.json[0].ip, '10.201.1.7');
    });

    it('a decky that vanishes from the reports is torn down, and says since when it is missed (B16)', async () => {
      const [a, b] = [fresh(), fresh()];
      const { ids } = await deployed(a, b);
      await swarm.dispatch(ids);
      await end(ids);
      const [one, other] = await configs([a, b]);
      assert.ok(one && other);
      await swarm.heartbeat(host, { status: statusOf([one, other]) });
      assert.deepEqual(await shards(), [
        [a, 'running'],
        [b, 'running'],
      ]);
      await swarm.heartbeat(host, { status: statusOf([one]) });
      assert.deepEqual(await shards(), [
        [a, 'running'],
        [b, 'torn_down'],
      ]);
      const missed = await fleet(b);
      assert.deepEqual([missed.state, missed.last_error], ['torn_down', 'Host h1 does not report it any more.']);
      // It comes back.
      await swarm.heartbeat(host, { status: statusOf([one, other]) });
      assert.deepEqual([(await fleet(b)).state, (await fleet(b)).last_error], ['running', null]);
    });

    it('`deployed: false` says that all is gone where the agent is ours, and nothing where it is DECNET’s (B16)', async () => {
      const name = fresh();
      const { ids } = await deployed(name);
      await swarm.dispatch(ids);
      await end(ids);
      await swarm.heartbeat(host, { status: statusOf(await configs([name])) });
      await swarm.heartbeat(host, { status: { deployed: false, deckies: [] } });
      assert.deepEqual(await shards(), [[name, 'running']]);
      await swarm.heartbeat(host, { status: { deployed: false, deckies: [], ...OURS } });
      assert.deepEqual(await shards(), [[name, 'torn_down']]);
      assert.equal((await fleet(name)).state, 'torn_down');
    });

    it('an entry that is no DeckyConfig is skipped, and does not make its decky vanish', async () => {
      const name = fresh();
      const { ids } = await deployed(name);
      await swarm.dispatch(ids);
      await end(ids);
      const [config] = await configs([name]);
      assert.ok(config);
      await swarm.heartbeat(host, { status: statusOf([config]) });
      const odd = { ...config, surprise: true };
      await swarm.heartbeat(host, { status: statusOf([odd as DeckyConfig]) });
      assert.deepEqual(await shards(), [[name, 'running']]);
    });

    it('two hosts may report the same decky: each has its own shard, the fleet’s is where it belongs', async () => {
      const name = fresh();
      const { ids } = await deployed(name);
      await swarm.dispatch(ids);
      await end(ids);
      const [config] = await configs([name]);
      assert.ok(config);
      await swarm.heartbeat(host, { status: statusOf([config]) });
      const other = await swarm.enroll('h2');
      await swarm.heartbeat(other, { status: statusOf([config], false) });
      assert.deepEqual(await shards(), [
        [name, 'running'],
        [name, 'degraded'],
      ]);
      assert.equal((await fleet(name)).state, 'running');
    });

    it('versions are kept; a host that was silent is `unreachable`, and revived by its next heartbeat', async () => {
      await swarm.heartbeat(host, { agent_version: '0.1.0' });
      await sql()`update swarm_hosts set last_heartbeat = now() - interval '91 seconds'`;
      const silent = await swarm.hosts.silentSince(90_000);
      assert.deepEqual(
        silent.map((one) => [one.name, one.status, one.agentVersion]),
        [['h1', 'unreachable', '0.1.0']],
      );
      await swarm.heartbeat(host, { agent_version: '0.1.0' });
      assert.equal((await swarm.hosts.get(host.host.uuid))?.status, 'active');
    });

    it('reports of one host at the same moment, and of many, are all taken in', async () => {
      const names = Array.from({ length: 8 }, fresh);
      const { ids } = await deployed(...names);
      await swarm.dispatch(ids);
      await end(ids);
      const all = await configs(names);
      const turns = Array.from({ length: 24 }, (_, turn) => all.slice(0, 1 + (turn % all.length)));
      const answers = await Promise.all(
        turns.map((part, turn) => swarm.heartbeat(host, { status: statusOf(part, turn % 2 === 0) })),
      );
      assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([204]));
      await swarm.heartbeat(host, { status: statusOf(all) });
      assert.deepEqual(new Set((await shards()).map(([, state]) => state)), new Set(['running']));
    });
  });

  describe('drift', () => {
    const drift = async () =>
      (await createDriftReader(sql()).drift({})).map((one) => `${one.decky_name} ${one.host_name} ${one.reason}`);
    const up = async (...names: string[]): Promise<void> => {
      const { ids } = await deployed(...names);
      await swarm.dispatch(ids);
      await end(ids);
    };
    const unknown = async () => (await createDriftReader(sql()).unknown({})).map((one) => [one.host_name, one.deckies]);
    const stateOf = async (name: string) =>
      (await createFleetReader(sql()).overview()).deckies.find((one) => one.name === name)?.state;
    const ours = (deckies: object, more: object = {}) => ({ deckhand: { ...OURS.deckhand, deckies, ...more } });

    it('is what an agent of ours has compared, and ends with the report in which it is mended', async () => {
      const [a, b] = [fresh(), fresh()];
      await up(a, b);
      const seen = await configs([a, b]);
      const differs = {
        drift: [
          { reason: 'moved_address', container: a },
          { reason: 'missing', container: `${a}-ssh` },
        ],
      };
      const orphans = ['left', b, '../etc'];
      await swarm.heartbeat(host, { status: statusOf(seen, true, ours({ [a]: differs }, { orphans })) });
      assert.deepEqual(await drift(), [`${a} h1 missing`, `${a} h1 moved_address`, 'left h1 orphan']);
      await swarm.heartbeat(host, { status: statusOf(seen, true, ours({ [a]: { drift: [] } }, { orphans: [] })) });
      assert.deepEqual(await drift(), []);
    });

    it('of an agent of DECNET is what its states and its version of a decky tell', async () => {
      const [a, b, c] = [fresh(), fresh(), fresh()];
      await up(a, b, c);
      const [one, two] = await configs([a, b]);
      assert.ok(one && two);
      await swarm.heartbeat(host, { status: statusOf([one, { ...two, services: ['ftp'] }], false) });
      assert.deepEqual(await drift(), [
        `${a} h1 exited`,
        `${b} h1 exited`,
        `${b} h1 other_configuration`,
        `${c} h1 missing`,
      ]);
    });

    it('is nothing while a row is open, or the agent is at work, and what it says of no reason is dropped', async () => {
      const a = fresh();
      const { ids } = await deployed(a);
      const seen = await configs([a]);
      const differs = { drift: [{ reason: 'missing', container: a }] };
      await swarm.heartbeat(host, { status: statusOf(seen, true, ours({ [a]: differs })) });
      assert.deepEqual(await drift(), []);
      await swarm.dispatch(ids);
      await end(ids);
      await swarm.heartbeat(host, { status: statusOf(seen, true, ours({ [a]: { ...differs, status: 'running' } })) });
      assert.deepEqual(await drift(), []);
      const nonsense = { drift: [{ reason: 'gone', container: a }, { reason: 'exited', container: '\u0000' }, 7] };
      await swarm.heartbeat(host, { status: statusOf(seen, true, ours({ [a]: nonsense })) });
      assert.deepEqual(await drift(), []);
    });

    it('is unknown, never gone, where the host’s engine does not answer, and where the host is silent', async () => {
      const a = fresh();
      await up(a);
      const seen = await configs([a]);
      await swarm.heartbeat(host, { status: statusOf(seen, null, OURS) });
      assert.deepEqual([await drift(), await unknown(), await stateOf(a)], [[], [['h1', 1]], 'unknown']);
      await swarm.heartbeat(host, { status: statusOf(seen, true, OURS) });
      assert.deepEqual([await unknown(), await stateOf(a)], [[], 'running']);
      await swarm.hosts.markUnreachable(host.host.uuid);
      assert.deepEqual([await unknown(), await stateOf(a)], [[['h1', 1]], 'unknown']);
    });
  });
});
