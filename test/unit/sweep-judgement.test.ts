import { strict as assert } from 'node:assert';
import type { OpenRow } from '../../fleet/rows.ts';
import type { UnfinishedOperation } from '../../operations/store.ts';
import {
  judgeRequests,
  judgeRows,
  judgeTickets,
  ticketsInDoubt,
  type WorkflowState,
  workflowsOf,
} from '../../operations/sweep.ts';

const row = (deploymentId: string): OpenRow => ({
  lifecycleId: `row of ${deploymentId}`,
  deckyName: deploymentId,
  hostUuid: null,
  operation: 'deploy',
  status: 'pending',
  workflowId: `deploy/${deploymentId}/local`,
  deploymentId,
});
const operation = (operationId: string, state: 'accepted' | 'received' = 'accepted'): UnfinishedOperation => ({
  operationId,
  workflowId: `deploy/${operationId}`,
  kind: 'deploy',
  state,
});
const ticket = (operationId: string) => ({
  hostUuid: 'local',
  number: 1,
  operationId,
  workflowId: `deploy/${operationId}`,
});
const STATES: readonly WorkflowState[] = ['running', 'settling', 'closed', 'unknown'];
const states = new Map(STATES.map((state) => [`deploy/${state}`, state]));

describe('the judgement of the sweep', () => {
  it('starts again what Temporal does not know, and ends only the rows of closed workflows', () => {
    const rows = STATES.map(row);
    const workflows = workflowsOf(
      rows,
      STATES.map((id) => operation(id)),
    );
    const { restart, lost } = judgeRows(rows, workflows, states);
    assert.deepEqual(restart, ['unknown']);
    assert.deepEqual(
      lost.map(({ deploymentId }) => deploymentId),
      ['closed'],
    );
  });

  it('asks the workflow of a row where its deployment is not known as unfinished', () => {
    assert.deepEqual(
      [...workflowsOf([row('a'), row('b')], [operation('a')])],
      [
        ['a', 'deploy/a'],
        ['b', 'deploy/b/local'],
      ],
    );
  });

  it('withdraws requests that nobody accepted, and finishes accepted ones, once no workflow works on them', () => {
    const old = STATES.flatMap((id) => [operation(id, 'received'), operation(id)]);
    assert.deepEqual(judgeRequests(old, states), { withdraw: ['closed', 'unknown'], finish: ['closed', 'unknown'] });
  });

  it('leaves tickets to an operation that runs', () => {
    const operations = STATES.map((id) => operation(id));
    const inDoubt = ticketsInDoubt(STATES.map(ticket), operations, states);
    assert.deepEqual(
      inDoubt.map(({ operationId }) => operationId),
      ['settling', 'closed', 'unknown'],
    );
  });

  it('closes the tickets of ended operations, and of an unfinished one only once its workflow has closed', () => {
    const closes = (unfinished: readonly UnfinishedOperation[]) =>
      judgeTickets(STATES.map(ticket), unfinished, states).map(({ operationId }) => operationId);
    assert.deepEqual(closes([]), ['settling', 'closed', 'unknown']);
    assert.deepEqual(closes(STATES.map((id) => operation(id))), ['closed']);
  });
});
