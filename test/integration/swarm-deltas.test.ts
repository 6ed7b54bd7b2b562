import assert from 'node:assert/strict';
import { Client, Connection } from '@temporalio/client';
import { openDatabase } from '../../adapters/postgres/connect.ts';
import { createHostReports } from '../../adapters/postgres/host-reports.ts';
import { createReportSignals } from '../../adapters/temporal/workflows.ts';
import { delta, OURS, reportingHost, statusOf } from '../support/agents/reporting-host.ts';
import { SECRET } from '../support/master/swarm-harness.ts';
import { freePort } from '../support/servers/free-port.ts';

describe('deltas of a heartbeat', function () {
  this.timeout(60_000);
  const on = reportingHost();
  const { fresh, deployed, end, heartbeat, configs, shards, told } = on;

  it('reach the workflow that owns the rows, in one signal and in their order', async () => {
    const [a, b] = [fresh(), fresh()];
    const { ids, workflowId } = await deployed(a, b);
    await on.swarm.dispatch(ids);
    const answer = await heartbeat({
      lifecycle: [delta(b, { status: 'running' }), delta(a), delta(b, { seen: 'running' })],
    });
    assert.equal(answer.status, 204);
    const [report, ...others] = await on.swarm.reportsTo(workflowId);
    assert.deepEqual(others, []);
    assert.equal(report?.hostUuid, on.host.host.uuid);
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
    await on.swarm.dispatch(ids);
    for (const lifecycle of [undefined, null, []]) assert.equal((await heartbeat({ lifecycle })).status, 204);
    assert.deepEqual(await told(workflowId), []);
  });

  // proof: heartbeats, gap-a10
  it('one of nonsense among good ones costs itself only (A10)', async () => {
    const [a, b] = [fresh(), fresh()];
    const { ids, workflowId } = await deployed(a, b);
    await on.swarm.dispatch(ids);
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
    const answer = await heartbeat({ status, lifecycle: [delta(a), ...nonsense, delta(b)] });
    assert.equal(answer.status, 204, answer.text);
    assert.deepEqual(await told(workflowId), [[a, b]]);
  });

  it('a list that is none is refused whole', async () => {
    for (const lifecycle of ['x', { a: 1 }, [7]]) {
      const answer = await heartbeat({ lifecycle });
      assert.equal(answer.status, 422);
      assert.ok(Array.isArray(answer.json.detail));
    }
    assert.equal((await on.swarm.hosts.get(on.host.host.uuid))?.status, 'enrolled');
  });

  // proof: heartbeats
  it('for a decky of another host change nothing, and so does another host’s certificate', async () => {
    const { ids, workflowId } = await deployed(fresh());
    await on.swarm.dispatch(ids);
    const [row] = await on.swarm.rows(ids);
    const other = await on.swarm.enroll('h2');
    const body = { lifecycle: [delta(row?.decky_name ?? '')] };
    assert.equal((await on.swarm.heartbeat(other, body)).status, 204);
    const posing = await on.swarm.heartbeat({ host: on.host.host, identity: other.identity }, body);
    assert.deepEqual([posing.status, posing.json.detail], [403, 'cert fingerprint mismatch']);
    assert.deepEqual(await told(workflowId), []);
    assert.equal((await on.swarm.hosts.get(on.host.host.uuid))?.status, 'enrolled', 'a stranger is no sign of life');
  });

  // proof: promise-4
  it('of an agent with fences belong to one operation (A8)', async () => {
    const name = fresh();
    const { ids, workflowId, operationId } = await deployed(name);
    await on.swarm.dispatch(ids);
    const fence = { operation_id: operationId, attempt: 2, sequence: 17 };
    const status = { deployed: false, deckies: [], ...OURS };
    const lifecycle = [
      delta(name, { ...fence, operation_id: 'an earlier one' }),
      delta(name),
      delta(name, { ...fence, operation: 'mutate' }),
      delta(name, fence),
    ];
    assert.equal((await heartbeat({ status, lifecycle })).status, 204);
    const reports = (await on.swarm.reportsTo(workflowId)).flatMap((report) => report.reports);
    assert.deepEqual(
      reports.map((report) => report.fence),
      [{ attempt: 2, sequence: 17 }],
    );
    assert.equal((await on.swarm.hosts.get(on.host.host.uuid))?.fenced, true);
    // What had fences once has them always: without `deckhand` in the status too.
    assert.equal((await heartbeat({ lifecycle: [delta(name)] })).status, 204);
    assert.equal((await told(workflowId)).length, 1);
  });

  // proof: promise-4
  it('without fences count from the dispatch on, by the corrected clock (A8)', async () => {
    const name = fresh();
    const { ids, workflowId } = await deployed(name);
    const report = (completed: number) =>
      heartbeat({ lifecycle: [delta(name, { completed_at: new Date(completed).toISOString() })] });
    assert.equal((await report(Date.now())).status, 204);
    assert.deepEqual(await told(workflowId), [], 'the row was not dispatched yet');
    await on.swarm.dispatch(ids);
    const now = Date.now();
    await report(now - 10_000);
    assert.deepEqual(await told(workflowId), [], 'it ended before the dispatch');
    await on.swarm.hosts.markReachable(on.host.host.uuid, { clockOffsetMs: -9_000 });
    await report(now - 10_000);
    assert.equal((await told(workflowId)).length, 1, 'its clock is 9 s behind ours');
  });

  it('carry no secret, and no more than 2000 characters', async () => {
    const name = fresh();
    const { ids, workflowId } = await deployed(name);
    await on.swarm.dispatch(ids);
    const error = `CalledProcessError: --password=${SECRET} ${'x'.repeat(3_000)}`;
    await heartbeat({ lifecycle: [delta(name, { status: 'failed', error })] });
    const [report] = (await on.swarm.reportsTo(workflowId)).flatMap((one) => one.reports);
    assert.equal(report?.error?.length, 2_000);
    assert.ok(!report?.error?.includes(SECRET));
    assert.match(report?.error ?? '', /^CalledProcessError: --password=\[cut\] x/);
  });

  // proof: heartbeats
  it('for a row that has ended change nothing', async () => {
    const name = fresh();
    const { ids, workflowId } = await deployed(name);
    await on.swarm.dispatch(ids);
    await end(ids);
    assert.equal((await heartbeat({ lifecycle: [delta(name, { status: 'failed' })] })).status, 204);
    assert.deepEqual(await told(workflowId), []);
    assert.equal((await on.swarm.rows(ids))[0]?.status, 'succeeded');
  });

  // proof: promise-3
  it('are not acknowledged while the workflow is gone and the row open', async () => {
    const name = fresh();
    const { ids, workflowId } = await deployed(name);
    await on.swarm.dispatch(ids);
    await on.swarm.terminate(workflowId);
    const answer = await heartbeat({ lifecycle: [delta(name)] });
    assert.equal(answer.status, 503);
    assert.match(String(answer.headers['retry-after']), /^\d+$/);
    assert.match(answer.json.detail, /Keep the report and send it again/);
  });

  // proof: promise-3
  it('deltas are not acknowledged while Temporal is away, though the host is seen', async () => {
    const connection = Connection.lazy({ address: `127.0.0.1:${await freePort()}` });
    const away = createReportSignals(new Client({ connection }));
    await on.restart({ signals: () => away });
    const name = fresh();
    const { ids } = await deployed(name);
    await on.swarm.dispatch(ids);
    const answer = await heartbeat({ lifecycle: [delta(name)] });
    assert.deepEqual([answer.status, answer.headers['deckhand-error-code']], [503, 'Unavailable']);
    assert.equal((await on.swarm.hosts.get(on.host.host.uuid))?.status, 'active');
    // The client's last try may be under way yet: its channel is left to the end of the process.
  });

  it('nothing is acknowledged while PostgreSQL is away', async () => {
    const away = openDatabase(`postgres://nobody@127.0.0.1:${await freePort()}/nothing`);
    await on.restart({ reports: createHostReports(away) });
    const answer = await heartbeat();
    assert.deepEqual([answer.status, answer.headers['deckhand-error-code']], [503, 'Unavailable']);
    assert.match(String(answer.headers['retry-after']), /^\d+$/);
    await away.end({ timeout: 0 });
  });

  it('in a burst the deltas go first, and the report waits for the next heartbeat', async () => {
    await on.restart({ busyAt: 0 });
    const name = fresh();
    const { ids, workflowId, operationId } = await deployed(name);
    await on.swarm.dispatch(ids);
    const status = statusOf(await configs([name]), true, OURS);
    const lifecycle = [delta(name, { operation_id: operationId, attempt: 1, sequence: 1 })];
    assert.equal((await heartbeat({ status, lifecycle })).status, 204);
    assert.deepEqual([await told(workflowId), await shards()], [[[name]], []]);
    const seen = await on.swarm.hosts.get(on.host.host.uuid);
    assert.deepEqual([seen?.status, seen?.fenced], ['active', true]);
    await heartbeat({ status });
    assert.deepEqual(await shards(), [[name, 'running']]);
  });
});
