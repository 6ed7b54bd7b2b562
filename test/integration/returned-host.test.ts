/** A host is back after a mutation of one of its deckies was given up. */
import assert from 'node:assert/strict';
import { recordTransitions } from '../../adapters/postgres/rows.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { OURS, reportingHost, statusOf } from '../support/agents/reporting-host.ts';
import { storeMutate } from '../support/master/requests.ts';
import { until } from '../support/until.ts';

describe('a host that is back after a mutation was given up', function () {
  this.timeout(60_000);
  const on = reportingHost();
  const { fresh, sql, up, heartbeat, configs } = on;

  /** A decky whose mutation to ftp ended without its host's word. */
  async function givenUp(): Promise<string> {
    const name = fresh();
    await up(name);
    const id = await storeMutate(sql(), name, ['ftp']);
    assert.deepEqual(await acceptRequest(sql(), id), { accepted: true });
    const row = { lifecycleId: id, deckyName: name };
    await recordTransitions(sql(), [{ ...row, status: 'running' }]);
    await recordTransitions(sql(), [
      { ...row, status: 'failed', error: 'HostLost: host h1 gave no sign of life', unsure: true },
    ]);
    return name;
  }
  const owed = async () => (await sql()`select decky_name from owed_reconciles`).map((row) => String(row.decky_name));
  const rows = () =>
    sql()<{ id: string; decky_name: string; step: string | null; username: string; kind: string }[]>`
      select l.id, l.decky_name, l.step, d.username, d.kind from decky_lifecycle l join deployments d on d.id = l.deployment_id
      where l.completed_at is null`;
  const ours = (name: string, status: string) => ({
    deckhand: { ...OURS.deckhand, deckies: { [name]: { status, drift: [] } } },
  });

  // proof: field-3.11-1
  it('and has carried it out gets a row that says why and brings the services of before back', async () => {
    const name = await givenUp();
    const [config] = await configs([name]);
    assert.ok(config);
    assert.deepEqual(config.services, ['ssh']);
    const carriedOut = { ...config, services: ['ftp'], service_config: {} };
    await heartbeat({ status: statusOf([carriedOut], true, ours(name, 'running')) });
    assert.deepEqual([(await rows()).length, await owed()], [0, [name]], 'it is at work on it still');
    const report = { status: statusOf([carriedOut], true, ours(name, 'succeeded')) };
    await heartbeat(report);
    const [row] = await until('a row', async () => ((await rows()).length > 0 ? rows() : null));
    assert.deepEqual([row?.decky_name, row?.username, row?.kind], [name, 'host-return', 'reconcile']);
    assert.match(row?.step ?? '', /host h1 is back and has decky '.*' otherwise .*its mutate ended as HostLost/);
    await heartbeat(report);
    assert.equal((await rows()).length, 1, 'never doubled');
    await on.swarm.dispatch([row?.id ?? '']);
    await on.end([row?.id ?? '']);
    assert.deepEqual(await owed(), []);
  });

  // proof: field-3.11-1
  it('and has not carried it out gets no row, and nothing is pending once that has lasted', async () => {
    const name = await givenUp();
    const report = { status: statusOf(await configs([name]), true, ours(name, 'succeeded')) };
    await heartbeat(report);
    assert.deepEqual([(await rows()).length, await owed()], [0, [name]], 'an order may still lie in its socket');
    await sql()`update owed_reconciles set as_it_should_since = now() - interval '1 minute'`;
    await heartbeat(report);
    assert.deepEqual([(await rows()).length, await owed()], [0, []]);
  });

  // proof: field-3.11-1
  it('and carries it out after its first report gets its row then', async () => {
    const name = await givenUp();
    const [config] = await configs([name]);
    assert.ok(config);
    await heartbeat({ status: statusOf([config], true, ours(name, 'succeeded')) });
    assert.equal((await rows()).length, 0);
    const carriedOut = { ...config, services: ['ftp'], service_config: {} };
    await heartbeat({ status: statusOf([carriedOut], true, ours(name, 'succeeded')) });
    const [row] = await until('a row', async () => ((await rows()).length > 0 ? rows() : null));
    assert.equal(row?.decky_name, name);
    await on.swarm.dispatch([row?.id ?? '']);
    await on.end([row?.id ?? '']);
    assert.deepEqual(await owed(), []);
  });

  it('gets no row for a decky that an operator replaced meanwhile', async () => {
    const name = await givenUp();
    const ini = `[general]\nnet=10.77.0.0/24\ngw=10.77.0.1\ninterface=eth0\n[${name}]\nservices=http\n`;
    const body = { ini_content: ini, replace_fleet: true };
    const answer = await on.swarm.api.call('POST', '/api/v1/deckies/deploy', { token: on.swarm.admin, body });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual(await owed(), []);
  });
});
