import assert from 'node:assert/strict';
import type { AgentDecky, AgentStatus } from '../../fleet/agent-wire.ts';
import { readHostObservation } from '../../fleet/host-observation.ts';
import { deployBody, hostSet } from '../../fleet/hosts.ts';
import { type AskedRow, judgeStatus } from '../../fleet/judge-host.ts';
import { GENERAL, NETWORK, plan } from '../support/fixtures/planning.ts';

const [A, B, C] = plan(`${GENERAL}[a]\nservices=ssh\n[b]\nservices=http\n[c]\nservices=ftp\n`).deckies;
assert.ok(A && B && C);
const FENCE = { operation_id: 'op', attempt: 2 };
const deploy = (decky: typeof A): AskedRow => ({
  deckyName: decky.config.name,
  operation: 'deploy',
  config: decky.config,
});

describe('what the status of an agent with fences proves', () => {
  const of = (decky: Partial<AgentDecky>, work: NonNullable<AgentStatus['deckhand']>['work'] = []): AgentStatus => ({
    deployed: true,
    deckies: [],
    deckhand: {
      version: '1',
      network: null,
      work,
      unreported: 0,
      deckies: {
        a: {
          ...FENCE,
          operation: 'deploy',
          status: 'running',
          error: null,
          seen: 'pending',
          config_hash: null,
          step: null,
          ...decky,
        },
      },
    },
  });
  const look = (status: AgentStatus) => judgeStatus(readHostObservation(status), FENCE, [deploy(A)]);

  it('ends what ended in this attempt, with its error', () => {
    const sight = look(of({ status: 'failed', error: 'ContainerExited: x', seen: 'failed' }));
    assert.equal(sight.rows[0]?.proof, 'certain');
    assert.equal(sight.rows[0]?.error, 'ContainerExited: x');
  });

  it('proves nothing by an earlier attempt or another operation, and says that the order is not known', () => {
    for (const stale of [{ attempt: 1 }, { operation_id: 'other' }]) {
      const sight = look(of({ status: 'succeeded', ...stale }));
      assert.equal(sight.known, false);
      assert.equal(sight.rows[0]?.status, 'open');
    }
  });

  it('knows an order that is still in the queue', () => {
    const sight = look(of({ operation_id: 'other' }, [{ ...FENCE, kind: 'deploy', state: 'queued' }]));
    assert.equal(sight.known, true);
    assert.equal(sight.rows[0]?.status, 'open');
  });

  it('passes the step on while it works', () => {
    assert.equal(look(of({ step: 'pulling x' })).rows[0]?.step, 'pulling x');
  });
});

describe('what the status of an agent without fences proves', () => {
  const status = (running: boolean | null, services = A.config.services): AgentStatus => ({
    deployed: true,
    deckies: [{ ...A.config, services }],
    runtime: running === null ? {} : { a: { running, services: { ssh: running ? 'running' : 'exited' } } },
  });
  const look = (given: AgentStatus) => judgeStatus(readHostObservation(given), FENCE, [deploy(A)]).rows[0];

  it('needs a second look for what runs and for what does not', () => {
    assert.deepEqual([look(status(true))?.status, look(status(true))?.proof], ['succeeded', 'twice']);
    assert.deepEqual([look(status(false))?.status, look(status(false))?.error], ['failed', 'ssh is exited']);
  });

  it('proves nothing where Docker did not answer', () => {
    assert.equal(look(status(null))?.status, 'open');
  });

  it('does not take an older version that runs for the new one', () => {
    assert.equal(look(status(true, ['http']))?.status, 'failed');
  });

  it('takes a decky that is not listed any more as gone', () => {
    const row: AskedRow = { deckyName: 'a', operation: 'teardown', config: null };
    assert.equal(
      judgeStatus(readHostObservation({ deployed: false, deckies: [] }), FENCE, [row]).rows[0]?.status,
      'succeeded',
    );
    assert.equal(judgeStatus(readHostObservation(status(true)), FENCE, [row]).rows[0]?.status, 'open');
  });
});

describe('the whole desired set of a host', () => {
  const names = (list: readonly (typeof A)[]) => list.map(({ config }) => config.name);
  const mine = 'deploy/1/host/x';

  it('is what this operation wants, and of the others what came up last', () => {
    const changed = { ...B, config: { ...B.config, services: ['smb'] } };
    const set = hostSet(
      [
        { desired: A, established: null, open: { workflowId: mine, operation: 'deploy' } },
        { desired: changed, established: B, open: { workflowId: 'deploy/2/host/x', operation: 'deploy' } },
        { desired: C, established: null, open: null },
      ],
      mine,
    );
    assert.deepEqual(names(set), ['b', 'a']);
    assert.deepEqual(set[0]?.config.services, B.config.services);
  });

  it('leaves out what this operation takes down, and keeps what a later one will', () => {
    const set = hostSet(
      [
        { desired: A, established: A, open: { workflowId: mine, operation: 'teardown' } },
        { desired: B, established: B, open: { workflowId: 'teardown/9', operation: 'teardown' } },
      ],
      mine,
    );
    assert.deepEqual(names(set), ['b']);
  });

  it('B12: lists those that have an address in its order, and new ones last, so that nobody’s changes', () => {
    const address = (decky: typeof A, ip: string) => ({ ...decky, config: { ...decky.config, ip } });
    const set = hostSet(
      [
        { desired: A, established: null, open: { workflowId: mine, operation: 'deploy' } },
        { desired: address(B, '10.9.0.20'), established: address(B, '10.9.0.20'), open: null },
        { desired: address(C, '10.9.0.3'), established: address(C, '10.9.0.3'), open: null },
      ],
      mine,
    );
    assert.deepEqual(names(set), ['c', 'b', 'a']);
  });
});

describe('the order for a host', () => {
  const facts = {
    fence: FENCE,
    network: NETWORK,
    useIpvlan: false,
    options: { minHealthyTimeMs: 1, healthyDeadlineMs: 2, progressDeadlineMs: 3 },
    deploy: ['a'],
    remove: [],
  };

  // proof: gap-b12
  it('B15: has the host’s use_ipvlan', () => {
    assert.equal(deployBody([A], facts).config.ipvlan, false);
    assert.equal(deployBody([A], { ...facts, useIpvlan: true }).config.ipvlan, true);
  });

  it('carries what DECNET does not know beside its configuration, never inside a decky', () => {
    const custom = { name: 'own', image: 'x:1', exec_cmd: '', ports: [] };
    const body = deployBody([{ ...A, custom_services: [custom] }, B], facts);
    assert.deepEqual(body.deckhand?.custom_services, { a: [custom] });
    assert.deepEqual(body.config.deckies, [A.config, B.config]);
    assert.deepEqual([body.deckhand?.operation_id, body.deckhand?.attempt], ['op', 2]);
  });
});
