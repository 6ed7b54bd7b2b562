import assert from 'node:assert/strict';
import fc from 'fast-check';
import pc from 'picocolors';
import { fitRows, renderLive } from '../../cli/live.ts';
import { renderDeployment, renderDeployments, renderFindings, renderFleet } from '../../cli/render.ts';
import { changeLine, outcomeText } from '../../cli/rows.ts';
import { at, decky, deployment, row, T0 } from '../support/clients/cli-rows.ts';

const colours = pc.createColors(false);
const now = Date.parse(at(12.3));
const startedAt = Date.parse(T0);
const screen = { columns: 72, lines: 24, colours };

describe('cli live view', () => {
  it('has a line per decky: state, step, time; then a summary and what is waited for', () => {
    const rows = [
      row('web-01', 'succeeded'),
      row('db-01', 'running', { step: 'pulling example/honey:1' }),
      row('mail', 'failed'),
      row('dns', 'pending'),
    ];
    const text = renderLive({ rows, waitingFor: 'db-01 until 06:05', notice: null, startedAt }, screen, now);
    assert.equal(
      text,
      [
        '  ✓ web-01 succeeded                                                3.2s',
        '  ◑ db-01  running   pulling example/honey:1                       12.3s',
        '  ✗ mail   failed    ContainerExited: web-01-http exited with c…    3.2s',
        '  · dns    pending',
        '4 deckies: 1 succeeded, 1 failed, 1 running, 1 pending · 12.3s',
        'waiting for: db-01 until 06:05',
      ].join('\n'),
    );
  });

  it('collapses what does not fit, and shows what moves and what broke first', () => {
    const rows = Array.from({ length: 40 }, (_, index) => row(`d-${index}`, index === 39 ? 'running' : 'pending'));
    const lines = renderLive({ rows, waitingFor: null, notice: null, startedAt }, { ...screen, lines: 5 }, now).split(
      '\n',
    );
    assert.equal(lines.length, 4);
    assert.match(lines[1] ?? '', /d-39 running/);
    assert.equal(lines[2], '  … and 38 more pending');
    const mixed = fitRows([row('a', 'succeeded'), row('b', 'pending'), row('c', 'failed')], 2);
    assert.deepEqual(
      mixed.shown.map((one) => one.decky_name),
      ['c'],
    );
  });

  // proof: command
  it('is never taller or wider than the terminal', () => {
    const status = fc.constantFrom('pending', 'running', 'succeeded', 'failed' as const);
    const model = fc.record({
      rows: fc.array(fc.record({ name: fc.string({ maxLength: 200 }), status, step: fc.string() }), { maxLength: 80 }),
      columns: fc.integer({ min: 60, max: 200 }),
      lines: fc.integer({ min: 5, max: 60 }),
    });
    fc.assert(
      fc.property(model, ({ rows, columns, lines }) => {
        const made = rows.map((one, index) =>
          row(one.name, one.status as 'running', { id: String(index), step: one.step }),
        );
        const notice = 'The API does not answer. '.repeat(20);
        const frame = renderLive(
          { rows: made, waitingFor: 'x'.repeat(300), notice, startedAt },
          { columns, lines, colours },
          now,
        );
        const drawn = frame.split('\n');
        assert.ok(drawn.length < lines, `${drawn.length} lines on a terminal of ${lines}`);
        for (const line of drawn) assert.ok(line.length <= columns, `${line.length} > ${columns}: ${line}`);
      }),
    );
  });
});

describe('cli piped view', () => {
  it('is a plain line per change, with the evidence indented below a failure', () => {
    assert.equal(changeLine(row('web-01', 'running'), now, colours), 'web-01 running');
    assert.equal(changeLine(row('web-01', 'succeeded'), now, colours), 'web-01 succeeded 3.2s');
    assert.equal(
      changeLine(row('web-01', 'succeeded', { operation: 'teardown' }), now, colours),
      'web-01 (teardown) succeeded 3.2s',
    );
    assert.equal(
      changeLine(row('web-01', 'failed'), now, colours),
      'web-01 failed 3.2s\n    ContainerExited: web-01-http exited with code 3\n    last lines:\n      no such file',
    );
  });
});

describe('cli outcome', () => {
  it('names succeeded and failed always, unchanged and removed where there are any', () => {
    assert.equal(outcomeText([row('a', 'succeeded')], 0), '1 succeeded, 0 failed');
    const removed = row('old', 'succeeded', { operation: 'teardown' });
    assert.equal(outcomeText([row('a', 'failed'), removed], 2), '0 succeeded, 1 failed, 2 unchanged, 1 removed');
    assert.equal(outcomeText([removed], 0), '1 succeeded, 0 failed');
  });
});

describe('cli tables', () => {
  it('lists deployments', () => {
    const text = renderDeployments(
      [deployment([row('a', 'succeeded'), row('b', 'failed')], { outcome: 'failed' })],
      colours,
      now,
    );
    assert.equal(
      text,
      [
        'DEPLOYMENT  KIND    STATE   SUCCEEDED  FAILED  OPEN  BY     BEGUN      TOOK',
        'd-1         deploy  failed  1          1       0     admin  12.3s ago  4.0s',
      ].join('\n'),
    );
  });

  it('shows a deployment with its rows, what it waits for, and the evidence', () => {
    const rows = [row('a', 'running', { step: 'starting ssh' }), row('b', 'failed')];
    const text = renderDeployment(deployment(rows, { waiting_for: 'a, until 06:05' }), colours, now);
    assert.match(
      text,
      /^Deployment d-1 \(deploy\) by admin, 12\.3s ago: accepted\n0 succeeded, 1 failed, 1 running, 0 pending\n/,
    );
    assert.match(text, /Waiting for: a, until 06:05/);
    assert.match(text, /a {6}deploy {5}running {2}12\.3s {2}starting ssh/);
    assert.match(text, /✗ b\n {4}ContainerExited: .*\n {4}last lines:\n {6}no such file$/);
  });

  it('shows the fleet with state, address, services and last error', () => {
    const deckies = [
      decky('web-01'),
      decky('db-01', { state: 'failed', last_error: 'ImageUnavailable: no such image', established: false }),
    ];
    const network = { driver: 'bridge', interface: '', subnet: '10.200.0.0/24', gateway: '10.200.0.1' };
    assert.equal(
      renderFleet({ network, simulated: false, deckies }, colours),
      [
        'Network 10.200.0.0/24, gateway 10.200.0.1 (bridge: reachable from this host only)',
        'DECKY   STATE    ADDRESS     SERVICES  HOST   LAST ERROR',
        'web-01  running  10.200.0.2  ssh,http  local',
        'db-01   failed   10.200.0.2  ssh,http  local  ImageUnavailable: no such image',
        '2 deckies',
      ].join('\n'),
    );
  });

  it('says when there is no engine behind the fleet', () => {
    assert.match(renderFleet({ network: null, simulated: true, deckies: [] }, colours), /^Simulated: /);
  });

  it('says of each part what was found and what to do', () => {
    const text = renderFindings(
      [
        { part: 'Node', status: 'ok', found: '20.20.2', advice: null },
        { part: 'Docker', status: 'missing', found: 'no engine', advice: 'Install docker.io.' },
      ],
      colours,
    );
    assert.equal(
      text,
      '✓ Node    20.20.2\n✗ Docker  no engine\n          Install docker.io.\n1 ok, 0 with a warning, 1 missing',
    );
  });
});
