import assert from 'node:assert/strict';
import { renderLive } from '../../cli/live.ts';
import type { HostView } from '../../cli/master.ts';
import { renderFleet } from '../../cli/render.ts';
import { run } from '../../cli/run.ts';
import { type CapturedIo, capturedIo } from '../support/clients/captured-io.ts';
import { decky, deployment, row, T0 } from '../support/clients/cli-rows.ts';
import { type ScriptedAnswer, ScriptedMaster } from '../support/master/scripted-master.ts';

const host = (name: string, more: Partial<HostView> = {}): HostView => ({
  uuid: `uuid-${name}`,
  name,
  address: '192.0.2.7',
  agent_port: 8765,
  status: 'active',
  last_heartbeat: new Date(Date.now() - 4_000).toISOString(),
  client_cert_fingerprint: 'ab'.repeat(32),
  updater_cert_fingerprint: null,
  enrolled_at: T0,
  notes: null,
  use_ipvlan: false,
  draining: false,
  agent_version: '0.1.0',
  cert_not_after: new Date(Date.now() + 100.5 * 86_400_000).toISOString(),
  renew_requested: false,
  fenced: false,
  owes: 0,
  ...more,
});
const found = (body: unknown): ScriptedAnswer => ({ status: 200, body });
const gone = (...names: string[]) => names.map((name) => row(name, 'succeeded', { operation: 'teardown' }));
const DONE: ScriptedAnswer = { status: 204 };

describe('cli host', () => {
  let master: ScriptedMaster;
  let io: CapturedIo;
  let answers: Record<string, ScriptedAnswer>;
  const text = () => io.lines.join('\n');
  const asked = () =>
    master.requests
      .filter(({ path }) => !path.includes('/auth/'))
      .map(
        ({ method, path, query, body }) => [`${method} ${path.replace('/api/v1', '')}`, String(query), body] as const,
      );
  const changes = () => asked().filter(([what]) => !what.startsWith('GET'));

  beforeEach(async () => {
    answers = {
      'GET /swarm/hosts': found([host('h1'), host('h2', { status: 'unreachable', address: '2001:db8::7' })]),
      'GET /fleet': found({
        network: null,
        simulated: false,
        deckies: [
          decky('web-01', { host_uuid: 'uuid-h1', host_name: 'h1' }),
          decky('web-02', { host_uuid: 'uuid-h1', host_name: 'h1' }),
          decky('own', { host_uuid: null }),
        ],
      }),
      'PATCH /swarm/hosts/uuid-h1': found({}),
      'DELETE /swarm/hosts/uuid-h1': DONE,
      'POST /swarm/hosts/uuid-h1/teardown': { status: 202, body: { lifecycle_ids: ['row-web-01', 'row-web-02'] } },
      'GET /deckies/lifecycle': found({ rows: gone('web-01', 'web-02') }),
    };
    master = await new ScriptedMaster(
      ({ method, path }) =>
        answers[`${method} ${path.replace('/api/v1', '')}`] ?? { status: 404, body: { detail: 'Not Found' } },
    ).start();
    io = capturedIo(master.environment);
  });
  afterEach(() => master.stop());

  it('enroll prints one command for the host, alone on standard output', async () => {
    const command = 'npx deckhand agent join https://192.0.2.1:8770 --token T --ca-fingerprint F';
    const enrollment = { host_uuid: 'u', token: 'T', command, expires_at: T0, ca_fingerprint: 'F' };
    answers['POST /swarm/enrollments'] = { status: 201, body: enrollment };
    const line = [
      'host',
      'enroll',
      'h3',
      '192.0.2.9',
      '--port',
      '9000',
      '--sans',
      'a, b',
      '--notes',
      'rack 2',
      '--ipvlan',
    ];
    assert.equal(await run(line, io), 0);
    assert.deepEqual(io.lines, [command]);
    assert.match(io.errors.join(), /Run this on h3, before 2026-11-24T06:00/);
    const body = {
      name: 'h3',
      address: '192.0.2.9',
      agent_port: 9000,
      sans: ['a', 'b'],
      notes: 'rack 2',
      use_ipvlan: true,
    };
    assert.deepEqual(changes(), [['POST /swarm/enrollments', '', body]]);
  });

  it('enroll exits 1 where the name is taken, 255 where the port is none', async () => {
    const refused = { status: 409, body: { detail: "Worker 'h1' is already enrolled" } };
    answers['POST /swarm/enrollments'] = { ...refused, headers: { 'deckhand-error-code': 'HostExists' } };
    assert.equal(await run(['host', 'enroll', 'h1', '192.0.2.7'], io), 1);
    assert.match(io.errors.join('\n'), /Worker 'h1' is already enrolled\n.*deckhand host list/);
    assert.equal(await run(['host', 'enroll', 'h1', '192.0.2.7', '--port', '70000'], io), 255);
  });

  it('list shows where each is, how many deckies it has, and when it was heard', async () => {
    assert.equal(await run(['host', 'list'], io), 0);
    assert.match(text(), /HOST\s+STATUS\s+ADDRESS\s+DECKIES\s+HEARD\s+AGENT\s+CERTIFICATE/);
    assert.match(text(), /h1\s+active\s+192\.0\.2\.7:8765\s+2\s+4\.\ds ago\s+0\.1\.0\s+ends in 100 d/);
    assert.match(text(), /h2\s+unreachable\s+\[2001:db8::7\]:8765\s+0/);
    assert.match(text(), /2 hosts$/);
  });

  it('list says what to do where there are none', async () => {
    answers['GET /swarm/hosts'] = found([]);
    assert.equal(await run(['host', 'list'], io), 0);
    assert.match(text(), /No hosts: .*deckhand host enroll NAME ADDRESS/);
  });

  it('show tells a host and its deckies; an unknown one exits 1 and names those that are', async () => {
    assert.equal(await run(['host', 'show', 'h1'], io), 0);
    assert.match(text(), /Host +h1 \(uuid-h1\)\nStatus +active/);
    assert.match(text(), /web-01 +running[\s\S]*web-02[\s\S]*2 deckies$/);
    assert.doesNotMatch(text(), /own/);
    assert.equal(await run(['host', 'show', 'h9'], io), 1);
    assert.match(io.errors.join('\n'), /No host is named h9\.\n +Enrolled are: h1, h2\./);
  });

  it('check exits 2 when one does not answer', async () => {
    assert.equal(await run(['host', 'check'], io), 2);
    assert.match(text(), /✓ h1 answers at 192\.0\.2\.7:8765\n✗ h2 does not answer/);
    assert.equal(await run(['host', 'check', 'h1'], io), 0);
  });

  it('renew asks for it', async () => {
    assert.equal(await run(['host', 'renew', 'h1'], io), 0);
    assert.deepEqual(changes(), [['PATCH /swarm/hosts/uuid-h1', '', { renew: true }]]);
  });

  it('drain marks the host first, so that nothing new comes, then takes its own deckies down', async () => {
    assert.equal(await run(['host', 'drain', 'h1', '--yes'], io), 0);
    const [first, ...others] = changes();
    assert.deepEqual(first, ['PATCH /swarm/hosts/uuid-h1', '', { draining: true }]);
    assert.deepEqual(others, [['POST /swarm/hosts/uuid-h1/teardown', '', { decky_id: null }]]);
    assert.match(text(), /h1 is draining: 2 deckies down, 0 left/);
  });

  it('drain asks for each decky where one is busy with something else, or the master makes no rows for a host', async () => {
    for (const answer of [
      { status: 409, body: { detail: 'decky web-02 has an open deploy' } },
      { status: 202, body: {} },
    ]) {
      answers['POST /swarm/hosts/uuid-h1/teardown'] = answer;
      answers['DELETE /deckies/web-01'] = DONE;
      answers['DELETE /deckies/web-02'] = { status: 409, body: { detail: 'decky web-02 has an open deploy' } };
      assert.equal(await run(['host', 'drain', 'h1', '--yes'], io), 2);
      assert.match(io.errors.join('\n'), /web-02 is not down: decky web-02 has an open deploy/);
      assert.match(text(), /h1 is draining: 1 decky down, 1 left/);
    }
  });

  it('teardown --host is one request for all that the host has', async () => {
    assert.equal(await run(['teardown', '--host', 'h1', '--wait'], io), 0);
    assert.deepEqual(changes(), [['POST /swarm/hosts/uuid-h1/teardown', '', { decky_id: null }]]);
    assert.equal(await run(['teardown', '--host', 'h1', '--all'], io), 255);
  });

  it('drain --undo lets it have deckies again, and takes nothing down', async () => {
    assert.equal(await run(['host', 'drain', 'h1', '--undo'], io), 0);
    assert.deepEqual(changes(), [['PATCH /swarm/hosts/uuid-h1', '', { draining: false }]]);
  });

  it('drain and remove change nothing when it is not agreed to', async () => {
    assert.equal(await run(['host', 'drain', 'h1'], io), 1);
    assert.equal(await run(['host', 'remove', 'h1'], io), 1);
    assert.deepEqual(changes(), []);
  });

  describe('with --move', () => {
    const moved = (...rows: unknown[]) => found({ ...deployment([]), rows });
    beforeEach(() => {
      answers['POST /swarm/hosts/uuid-h1/move'] = {
        status: 202,
        body: { lifecycle_ids: ['row-web-01', 'row-web-02'] },
        headers: { 'deckhand-deployment-id': 'd-1' },
      };
      answers['GET /deployments/d-1'] = moved(row('web-01', 'succeeded'), row('web-02', 'succeeded'));
    });

    it('drain is one request, which drains the host as it is accepted', async () => {
      assert.equal(await run(['host', 'drain', 'h1', '--move', '--yes'], io), 0);
      assert.deepEqual(changes(), [['POST /swarm/hosts/uuid-h1/move', '', null]]);
      assert.match(text(), /h1 is draining: 2 deckies moved, 0 left/);
    });

    it('drain changes nothing where no other host takes deckies, and with --undo', async () => {
      const detail = 'No other host takes new deckies.';
      answers['POST /swarm/hosts/uuid-h1/move'] = { status: 409, body: { detail } };
      assert.equal(await run(['host', 'drain', 'h1', '--move', '--yes'], io), 1);
      assert.equal(await run(['host', 'drain', 'h1', '--move', '--undo'], io), 255);
      assert.ok(changes().every(([what]) => what.endsWith('/move')));
    });

    it('names what did not come up elsewhere (2), and what the host still has to take down (5)', async () => {
      answers['GET /swarm/hosts'] = found([host('h1', { owes: 2 })]);
      const line = ['host', 'drain', 'h1', '--move', '--yes', '--timeout', '300ms'];
      assert.equal(await run(line, io), 5);
      assert.match(io.errors.join('\n'), /h1 can’t be reached. It takes 2 deckies down as soon as it reconnects/);
      const failed = row('web-02', 'failed', { error: 'NameTaken: another container' });
      answers['GET /deployments/d-1'] = moved(row('web-01', 'succeeded'), failed);
      assert.equal(await run(line, io), 2);
      assert.match(io.errors.join('\n'), /web-02 is not moved: it did not come up elsewhere: NameTaken/);
    });

    it('remove moves first, then revokes', async () => {
      assert.equal(await run(['host', 'remove', 'h1', '--move', '--yes', '--json'], io), 0);
      assert.deepEqual(JSON.parse(text()).moved, ['web-01', 'web-02']);
      assert.deepEqual(
        changes().map(([what]) => what),
        ['POST /swarm/hosts/uuid-h1/move', 'DELETE /swarm/hosts/uuid-h1'],
      );
    });
  });

  it('remove takes down first, then revokes; --self-destruct is passed on', async () => {
    assert.equal(await run(['host', 'remove', 'h1', '--yes', '--self-destruct'], io), 0);
    assert.deepEqual(changes().at(-1)?.slice(0, 2), ['DELETE /swarm/hosts/uuid-h1', 'self_destruct=true']);
    assert.equal(changes().length, 3);
    assert.match(text(), /h1 is removed; its certificate is revoked/);
  });

  it('remove names what could not be reached, revokes all the same, and exits 2', async () => {
    const rows = [
      row('web-01', 'failed', { operation: 'teardown', error: 'HostLost: h1 gave no sign of life for 90 s' }),
      row('web-02', 'running', { operation: 'teardown' }),
    ];
    answers['GET /deckies/lifecycle'] = found({ rows });
    assert.equal(await run(['host', 'remove', 'h1', '--yes', '--timeout', '300ms'], io), 2);
    const errors = io.errors.join('\n');
    assert.match(errors, /web-01 is not down: HostLost: h1 gave no sign of life for 90 s/);
    assert.match(errors, /web-02 is not down: its teardown goes on, but the wait ended first/);
    assert.match(errors, /Containers of 2 deckies may still run on it/);
    assert.deepEqual(changes().at(-1)?.slice(0, 2), ['DELETE /swarm/hosts/uuid-h1', 'self_destruct=false']);
  });

  it('remove --json is one document', async () => {
    assert.equal(await run(['host', 'remove', 'h1', '--yes', '--json'], io), 0);
    const { host: name, removed, down, left } = JSON.parse(text());
    assert.deepEqual(
      { name, removed, down: down.sort(), left },
      { name: 'h1', removed: true, down: ['web-01', 'web-02'], left: [] },
    );
  });
});

describe('cli views of a swarm', () => {
  const { colours } = capturedIo();
  const rows = [
    row('web-01', 'running', { host_uuid: 'uuid-h1', host_name: 'h1' }),
    row('web-02', 'succeeded', { host_uuid: null, host_name: null }),
  ];

  it('have a column for hosts only where there are hosts', () => {
    const screen = { columns: 100, lines: 24, colours };
    const model = { waitingFor: null, notice: null, startedAt: 0 };
    const mixed = renderLive({ ...model, rows }, screen, 1000).split('\n');
    assert.match(mixed[0] ?? '', /web-01 h1 {4}running/);
    assert.match(mixed[1] ?? '', /web-02 local succeeded/);
    const local = renderLive({ ...model, rows: rows.slice(1) }, screen, 1000);
    assert.match(local, /web-02 succeeded/);
  });

  it('name the host of a decky and of a row of a deployment', async () => {
    const fleet = { network: null, simulated: false, deckies: [decky('web-01', { host_uuid: 'u', host_name: 'h1' })] };
    assert.match(renderFleet(fleet, colours), /ssh,http\s+h1/);
    const master = await new ScriptedMaster(() => found(deployment(rows))).start();
    const io = capturedIo(master.environment);
    try {
      assert.equal(await run(['status', 'd-1'], io), 0);
      assert.match(
        io.lines.join('\n'),
        /DECKY\s+HOST\s+OPERATION[\s\S]*web-01\s+h1\s+deploy[\s\S]*web-02\s+local\s+deploy/,
      );
    } finally {
      await master.stop();
    }
  });
});
