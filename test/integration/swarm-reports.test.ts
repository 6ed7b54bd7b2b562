import assert from 'node:assert/strict';
import type { DeckyConfig } from '../../fleet/config.ts';
import { OURS, reportingHost, statusOf } from '../support/agents/reporting-host.ts';

describe('what a heartbeat reports of a host', function () {
  this.timeout(60_000);
  const on = reportingHost();
  const { fresh, sql, deployed, end, up, heartbeat, fleet, configs, shards } = on;

  it('an unchanged report only stamps the host', async () => {
    const { ids } = await deployed(fresh());
    await on.swarm.dispatch(ids);
    await end(ids);
    const [row] = await on.swarm.rows(ids);
    const status = statusOf(await configs([row?.decky_name ?? '']));
    await heartbeat({ status });
    const read = () =>
      sql()`select s.xmin::text as shard, h.report_hash, h.report_taken_at, h.reported_at
        from decky_shards s join swarm_hosts h on h.uuid = s.host_uuid`;
    const [before] = await read();
    await heartbeat({ status });
    const [after] = await read();
    assert.ok(before?.report_hash);
    assert.deepEqual({ ...after, reported_at: 0 }, { ...before, reported_at: 0 });
    assert.ok(after?.reported_at > before?.reported_at);
  });

  // proof: gap-b3
  it('states of the fleet are what was seen, where no row is open (B8)', async () => {
    const [a, b] = [fresh(), fresh()];
    const first = await deployed(a);
    await on.swarm.dispatch(first.ids);
    await end(first.ids);
    const second = await deployed(b);
    await on.swarm.dispatch(second.ids);
    await heartbeat({ status: statusOf(await configs([a, b]), false) });
    assert.deepEqual(
      [(await fleet(a)).state, (await fleet(a)).last_error],
      ['degraded', 'Its host says: ssh is exited.'],
    );
    assert.equal((await fleet(b)).state, 'pending', 'its row is open: the workflow writes it');
    await heartbeat({ status: statusOf(await configs([a, b]), null) });
    assert.equal((await fleet(a)).state, 'degraded', 'an engine that says nothing proves nothing');
    await heartbeat({ status: statusOf(await configs([a, b]), true) });
    assert.deepEqual([(await fleet(a)).state, (await fleet(a)).last_error], ['running', null]);
  });

  // proof: gap-b12
  it('the address that is reported is the decky’s, once no row is open (B12)', async () => {
    const name = fresh();
    const { ids } = await deployed(name);
    await on.swarm.dispatch(ids);
    const [config] = await configs([name]);
    assert.ok(config);
    const status = statusOf([{ ...config, ip: '10.201.1.7' }], true, OURS);
    await heartbeat({ status });
    assert.equal((await fleet(name)).decky_ip, config.ip);
    await end(ids);
    await heartbeat({ status });
    const { decky_ip, config: desired, established } = await fleet(name);
    assert.deepEqual([decky_ip, desired.ip, established?.config.ip], Array(3).fill('10.201.1.7'));
    // An additive deploy keeps clear of it.
    const listed = await on.swarm.api.call('GET', '/api/v1/deckies', { token: on.swarm.admin });
    assert.equal(listed.json[0].ip, '10.201.1.7');
  });

  it('an address that is none leaves the one that was there, and deploys of others go on', async () => {
    const name = fresh();
    await up(name);
    const [config] = await configs([name]);
    assert.ok(config);
    for (const ip of ['x', '10.0.0.300', '::1', '9'.repeat(5_000)])
      await heartbeat({ status: statusOf([{ ...config, ip }], true, OURS) });
    const { decky_ip, config: desired, established } = await fleet(name);
    assert.deepEqual([decky_ip, desired.ip, established?.config.ip], Array(3).fill(config.ip));
    await deployed(fresh());
  });

  it('no more deckies of a host are remembered than twice the largest fleet, and those that are known still change', async () => {
    const name = fresh();
    await up(name);
    const [config] = await configs([name]);
    assert.ok(config);
    await heartbeat({ status: statusOf([config]) });
    await sql()`insert into decky_shards (host_uuid, decky_name, services, state)
      select ${on.host.host.uuid}, 'made-up-' || n, '[]', 'torn_down' from generate_series(1, 20000) n`;
    await heartbeat({ status: statusOf([config, { ...config, name: 'one-more' }], false) });
    const [counted] = await sql()`select count(*)::int as all from decky_shards`;
    assert.equal(counted?.all, 20_001);
    const [own] = await sql()`select state from decky_shards where decky_name = ${name}`;
    assert.equal(own?.state, 'degraded');
  });

  // proof: gap-b12
  it('a decky that vanishes from the reports is torn down, and says since when it is missed (B16)', async () => {
    const [a, b] = [fresh(), fresh()];
    await up(a, b);
    const [one, other] = await configs([a, b]);
    assert.ok(one && other);
    await heartbeat({ status: statusOf([one, other]) });
    assert.deepEqual(await shards(), [
      [a, 'running'],
      [b, 'running'],
    ]);
    await heartbeat({ status: statusOf([one]) });
    assert.deepEqual(await shards(), [
      [a, 'running'],
      [b, 'torn_down'],
    ]);
    const missed = await fleet(b);
    assert.deepEqual([missed.state, missed.last_error], ['torn_down', 'Host h1 does not report it any more.']);
    // It comes back.
    await heartbeat({ status: statusOf([one, other]) });
    assert.deepEqual([(await fleet(b)).state, (await fleet(b)).last_error], ['running', null]);
  });

  // proof: gap-b12
  it('`deployed: false` says that all is gone where the agent is ours, and nothing where it is DECNET’s (B16)', async () => {
    const name = fresh();
    await up(name);
    await heartbeat({ status: statusOf(await configs([name])) });
    await heartbeat({ status: { deployed: false, deckies: [] } });
    assert.deepEqual(await shards(), [[name, 'running']]);
    await heartbeat({ status: { deployed: false, deckies: [], ...OURS } });
    assert.deepEqual(await shards(), [[name, 'torn_down']]);
    assert.equal((await fleet(name)).state, 'torn_down');
  });

  it('an entry that is no DeckyConfig is skipped, and does not make its decky vanish', async () => {
    const name = fresh();
    await up(name);
    const [config] = await configs([name]);
    assert.ok(config);
    await heartbeat({ status: statusOf([config]) });
    const odd = { ...config, surprise: true };
    await heartbeat({ status: statusOf([odd as DeckyConfig]) });
    assert.deepEqual(await shards(), [[name, 'running']]);
  });

  it('two hosts may report the same decky: each has its own shard, the fleet’s is where it belongs', async () => {
    const name = fresh();
    await up(name);
    const [config] = await configs([name]);
    assert.ok(config);
    await heartbeat({ status: statusOf([config]) });
    const other = await on.swarm.enroll('h2');
    await on.swarm.heartbeat(other, { status: statusOf([config], false) });
    assert.deepEqual(await shards(), [
      [name, 'running'],
      [name, 'degraded'],
    ]);
    assert.equal((await fleet(name)).state, 'running');
  });

  it('versions are kept; a host that was silent is `unreachable`, and revived by its next heartbeat', async () => {
    await heartbeat({ agent_version: '0.1.0' });
    await sql()`update swarm_hosts set last_heartbeat = now() - interval '91 seconds'`;
    const silent = await on.swarm.hosts.silentSince(90_000);
    assert.deepEqual(
      silent.map((one) => [one.name, one.status, one.agentVersion]),
      [['h1', 'unreachable', '0.1.0']],
    );
    await heartbeat({ agent_version: '0.1.0' });
    assert.equal((await on.swarm.hosts.get(on.host.host.uuid))?.status, 'active');
  });

  it('reports of one host at the same moment, and of many, are all taken in', async () => {
    const names = Array.from({ length: 8 }, fresh);
    await up(...names);
    const all = await configs(names);
    const turns = Array.from({ length: 24 }, (_, turn) => all.slice(0, 1 + (turn % all.length)));
    const answers = await Promise.all(turns.map((part, turn) => heartbeat({ status: statusOf(part, turn % 2 === 0) })));
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([204]));
    await heartbeat({ status: statusOf(all) });
    assert.deepEqual(new Set((await shards()).map(([, state]) => state)), new Set(['running']));
  });
});
