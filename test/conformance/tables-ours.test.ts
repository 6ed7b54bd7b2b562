/** Where ours differs on purpose, bullet by bullet (docs/differences.md). Most of it needs containers, hosts or a second process: the test that shows it is named. */
import assert from 'node:assert/strict';
import {
  ADMIN_PASSWORD,
  type ApiHarness,
  type Call,
  createApiHarness,
  GENERAL,
} from '../support/master/api-harness.ts';
import { answers, row, shownBy } from './rows.ts';

const API = '/api/v1/deckies';

describe('conformance: what ours adds, and where it is stricter', function () {
  this.timeout(60_000);
  let api: ApiHarness;
  let token: string;
  const ask = (method: string, path: string, call: Call = {}) => api.call(method, `${API}${path}`, { token, ...call });
  const deploy = (ini: string, more: object = {}, headers: Record<string, string> = {}) =>
    ask('POST', '/deploy', { body: { ini_content: ini, ...more }, headers });
  const conflict = async (ini: string, detail: RegExp) => answers(await deploy(ini), 409, detail);

  before(async () => {
    api = await createApiHarness();
    token = await api.login('admin', ADMIN_PASSWORD);
  });
  after(() => api?.close());

  describe('additions', () => {
    row('ours additions 1', 'an Idempotency-Key: the first answer again, 422 for another body', async () => {
      const key = { 'idempotency-key': 'tables' };
      const ini = `${GENERAL}[keyed]\nservices=ssh\n`;
      const { json } = answers(await deploy(ini, {}, key), 202);
      assert.deepEqual(answers(await deploy(ini, {}, key), 202).json.lifecycle_ids, json.lifecycle_ids);
      answers(await deploy(`${GENERAL}[other]\nservices=ssh\n`, {}, key), 422, /Idempotency-Key/);
    });
    // proof: conformance
    row('ours additions 2', '409 names the decky that is busy, and its row', async () => {
      const { json } = answers(await deploy(`${GENERAL}[busy]\nservices=ssh\n`), 202);
      answers(await ask('POST', '/busy/mutate'), 409, new RegExp(`busy.*${json.lifecycle_ids[0]}`));
      await api.settle();
    });
    shownBy(
      'ours additions 3',
      '503 with Retry-After, and nothing half done',
      'integration/api-unavailable.test.ts',
      'answers 503 while PostgreSQL is away, and 401 stays what it is',
    );
    row('ours additions 4', 'a removal has a row of operation teardown; 202 where it takes long', async () => {
      const { json } = answers(await ask('DELETE', '/busy'), 202);
      const { rows } = (await ask('GET', `/lifecycle?ids=${json.lifecycle_ids[0]}`)).json;
      assert.deepEqual([rows[0].operation, rows[0].decky_name], ['teardown', 'busy']);
      await api.settle();
    });
    row('ours additions 5', 'replace_fleet names the rows of what goes', async () => {
      const { json } = answers(await deploy(`${GENERAL}[fresh]\nservices=ssh\n`, { replace_fleet: true }), 202);
      assert.equal(json.removed_lifecycle_ids.length, 1);
      await api.settle();
    });
    row('ours additions 6', 'a deploy takes options of its rollout, as durations', async () => {
      const options = {
        max_parallel: 4,
        min_healthy_time: '3s',
        healthy_deadline: '5m',
        progress_deadline: '10m',
        host_lost_after: '90s',
      };
      answers(await deploy(`${GENERAL}[paced]\nservices=ssh\n`, options), 202);
      await api.settle();
      answers(await deploy(GENERAL, { min_healthy_time: 'soon' }), 422, /no duration/);
    });
    row('ours additions 7', 'a mutate may name the services', async () => {
      answers(await ask('POST', '/paced/mutate', { body: { services: ['http'] } }), 202);
      await api.settle();
      const [paced] = (await ask('GET', '')).json.filter((one: { name: string }) => one.name === 'paced');
      assert.deepEqual(paced.services, ['http']);
    });
    row('ours additions 8', 'the body of a deploy stays closed', async () => {
      answers(await deploy(GENERAL, { colour: 'red' }), 400);
    });
    shownBy(
      'ours additions 9',
      'the fence stands beside the configuration',
      'unit/judge-host.test.ts',
      'carries what DECNET does not know beside its configuration, never inside a decky',
    );
    shownBy(
      'ours additions 10',
      'our agent’s deltas are fenced',
      'integration/swarm-deltas.test.ts',
      'of an agent with fences belong to one operation (A8)',
    );
    shownBy(
      'ours additions 11',
      'an agent without a fence: by dispatch, clock and two looks',
      'workflow/deploy-shard.test.ts',
      'a failed report of an agent without fences takes two observations, and what runs has succeeded',
    );
    shownBy(
      'ours additions 12',
      'subjects of the bus hold nothing that NATS forbids',
      'unit/subjects.test.ts',
      'names a message by row and status, so that JetStream drops the repeat',
    );
    row('ours additions 13', 'a custom service can be deployed', async () => {
      const custom = '[custom-web]\nbinary=nginx:1.27\nexec=nginx -g daemon\nports=8081\n';
      answers(await deploy(`${GENERAL}${custom}[shop]\nservices=web\n`), 202);
      await api.settle();
    });
    shownBy(
      'ours additions 14',
      'a bridge beside macvlan and ipvlan',
      'unit/plan-deploy.test.ts',
      'is the pool of the bridge, whose gateway is the first address',
    );
    shownBy(
      'ours additions 15',
      'images that stand in for the catalogue’s',
      'unit/compose.test.ts',
      'builtin: stands in for bases and services, without mounts, and keeps what the operator brings',
    );
    shownBy(
      'ours additions 16',
      'the controller is TLS only; a foreign certificate gets no answer',
      'integration/swarm-listener.test.ts',
      'a certificate of a foreign CA gets no answer at all',
    );
    shownBy(
      'ours additions 17',
      'agents obey the master alone, and names of its own are refused',
      'integration/agent-trust.test.ts',
      'refuses another host’s certificate on every endpoint',
    );
    shownBy(
      'ours additions 18',
      'a host makes its key; the token works once',
      'integration/swarm-enrollment.test.ts',
      'a token works once, also when it is used twice at the same moment',
    );
    shownBy(
      'ours additions 18, bundles',
      'bundles stay on this machine over plain HTTP',
      'integration/swarm-bundles.test.ts',
      'stay on this machine over plain HTTP',
    );
    shownBy(
      'ours additions 19',
      'texts of agents are cut free of secrets',
      'integration/swarm-deltas.test.ts',
      'carry no secret, and no more than 2000 characters',
    );
    shownBy(
      'ours additions 20',
      'leaving takes down first, and names what could not be reached',
      'unit/cli-host.test.ts',
      'remove names what could not be reached, revokes all the same, and exits 2',
    );
    shownBy(
      'ours additions 21',
      'the limit of logins counts failures',
      'integration/api-auth.test.ts',
      'counts exactly ten wrong logins, also at the same time, and none of the right ones',
    );
    row('ours additions 22', 'the deployment limit goes up to 10,000', async () => {
      const set = (limit: number) =>
        api.call('PUT', '/api/v1/config/deployment-limit', { token, body: { deployment_limit: limit } });
      answers(await set(10_000), 200);
      answers(await set(10_001), 422);
      answers(await set(10), 200);
    });
  });

  describe('stricter or mended', () => {
    const inis: readonly [string, string, RegExp][] = [
      ['an address that is none', '[x]\nservices=ssh\nip=10.77.0.999\n', /10\.77\.0\.999/],
      ['an address outside the subnet', '[x]\nservices=ssh\nip=10.78.0.9\n', /10\.78\.0\.9/],
      ['the gateway’s address', '[x]\nservices=ssh\nip=10.77.0.1\n', /10\.77\.0\.1/],
      ['the network’s and the broadcast’s address', '[x]\nservices=ssh\nip=10.77.0.255\n', /10\.77\.0\.255/],
      ['an address twice', '[x]\nservices=ssh\nip=10.77.0.9\n[y]\nservices=ssh\nip=10.77.0.9\n', /10\.77\.0\.9/],
      ['a name twice after expansion', '[g]\nservices=ssh\namount=2\n[g-01]\nservices=ssh\n', /g-01/],
      ['a lone %', '[x]\nservices=http\n[x.http]\nserver_header=100%\n', /%/],
      ['a key without =', '[x]\nservices\n', /line/],
      ['an unknown nmap_os', '[x]\nservices=ssh\nnmap_os=beos\n', /beos/],
      ['names that make one container name', '[x]\nservices=ssh,http\n[x-ssh]\nservices=ssh\n', /x-ssh/],
    ];
    for (const [what, ini, detail] of inis)
      row('ours stricter 1', `${what} is 409 with a sentence`, () => conflict(GENERAL + ini, detail));
    row('ours stricter 1', 'an unknown interface is 409 with a sentence', () =>
      conflict('[general]\nnet=10.77.0.0/24\ngw=10.77.0.1\ninterface=nope0\n[x]\nservices=ssh\n', /nope0|interface/),
    );
    shownBy(
      'ours stricter 2',
      'a service twice over one port is a warning',
      'unit/plan-deploy.test.ts',
      'warns of two services on one port, once for a group, of a lost sub-section, and of nothing else',
    );
    shownBy(
      'ours stricter 3',
      'values get their types where the compose document is made',
      'unit/service-config.test.ts',
      'gap C19: nla = false is false',
    );
    shownBy(
      'ours stricter 4',
      'sub-sections of a group reach its own deckies',
      'unit/expansion.test.ts',
      'configures the decky itself, one of a group, or the group and no other of that prefix',
    );
    row('ours stricter 5', 'null in mutate-interval is off', async () => {
      answers(await ask('PUT', '/fresh/mutate-interval', { body: { mutate_interval: '30m' } }), 200);
      answers(await ask('PUT', '/fresh/mutate-interval', { body: { mutate_interval: null } }), 200);
    });
    shownBy(
      'ours stricter 5, inherited',
      '`[general] mutate_interval` is read, and null ends the rotation',
      'workflow/rotation.test.ts',
      'is a Schedule for the decky that has an interval, and none for those that inherit (gap C14)',
    );
    row('ours stricter 6', 'what can be deployed can be mutated and removed', async () => {
      answers(await deploy(`${GENERAL}[Odd_Name.1]\nservices=ssh\n`), 202);
      await api.settle();
      answers(await ask('POST', '/Odd_Name.1/mutate'), 202);
      await api.settle();
      answers(await ask('DELETE', '/Odd_Name.1'), 202);
      await api.settle();
    });
    shownBy(
      'ours stricter 7',
      'names that Docker refuses get a container name',
      'unit/deckies.test.ts',
      'begin with decky- where Docker refuses the name',
    );
    shownBy(
      'ours stricter 8',
      'the container of smtp_relay is found',
      'unit/deckies.test.ts',
      'gap C17: the status probe finds smtp_relay',
    );
    shownBy(
      'ours stricter 9',
      'a deploy touches what differs; success is to stay up',
      'workflow/replace-fleet.test.ts',
      'touches only what differs: nothing, one changed, one left out (gap C3)',
    );
    shownBy(
      'ours stricter 9, evidence',
      'failures carry the engine’s words',
      'workflow/failures.test.ts',
      'carries container, exit code and last lines, with secrets cut out',
    );
    row('ours stricter 10', 'a decky that never came up can be deployed again', async () => {
      const ini = `${GENERAL}[again]\nservices=ssh\n`;
      answers(await deploy(ini), 202);
      await api.settle('failed');
      answers(await deploy(ini), 202);
      await api.settle();
      answers(await deploy(ini), 409, /again/);
    });
    row('ours stricter 11', 'a decky is pending until its containers were seen', async () => {
      answers(await deploy(`${GENERAL}[unseen]\nservices=ssh\n`), 202);
      const { json } = await api.call('GET', '/api/v1/fleet', { token });
      assert.equal(json.deckies.find((one: { name: string }) => one.name === 'unseen').state, 'pending');
      await api.settle();
    });
    shownBy(
      'ours stricter 12',
      'rows only move forward, one open for a decky',
      'integration/postgres-rows.test.ts',
      'a row that has ended never changes, whoever asks (promise 2, gap A14)',
    );
    shownBy(
      'ours stricter 13',
      'a teardown removes the base container',
      'workflow/deploy-fleet.test.ts',
      'tears a decky down, base container included, as a row of its own',
    );
    shownBy(
      'ours stricter 14',
      'deckies stay where they run',
      'unit/placement.test.ts',
      'B9: enrolling the first host moves no local decky',
    );
    shownBy(
      'ours stricter 14, moves',
      'an unreachable host keeps its deckies',
      'unit/placement.test.ts',
      'B10: an unreachable or draining host keeps what came up on it',
    );
    shownBy(
      'ours stricter 15',
      'the address that an agent reports is the decky’s',
      'integration/swarm-reports.test.ts',
      'the address that is reported is the decky’s, once no row is open (B12)',
    );
    row('ours stricter 16', 'a deploy onto another network is 409', () =>
      conflict('[general]\nnet=10.79.0.0/24\ngw=10.79.0.1\ninterface=eth0\n[x]\nservices=ssh\n', /replace_fleet/),
    );
    shownBy(
      'ours stricter 17',
      'hosts are dispatched in parallel',
      'workflow/deploy-shard.test.ts',
      'at most max_parallel hosts are at work at once, and an unreachable one gives its slot back',
    );
    shownBy(
      'ours stricter 17, silence',
      'a silent host is unreachable by time',
      'integration/swarm-hosts.test.ts',
      'that are silent, and a master’s certificate that is new, are seen by time alone',
    );
    shownBy('ours stricter 18', 'no 500 anywhere', 'conformance/schemathesis.test.ts', 'as an administrator');
    shownBy(
      'ours stricter 19',
      'passwords are argon2id',
      'integration/api-auth.test.ts',
      'keeps passwords as argon2id, and a ticket for one use',
    );
  });
});
