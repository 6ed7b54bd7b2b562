import assert from 'node:assert/strict';
import { EndedRows, inOrder, type Placed } from '../../adapters/postgres/rows.ts';
import type { LifecycleRow } from '../../fleet/rows.ts';

const placed = (id: string, changes: Partial<LifecycleRow> = {}, position = 0): Placed => ({
  position,
  row: {
    id,
    decky_name: id,
    host_uuid: null,
    operation: 'deploy',
    status: 'succeeded',
    error: null,
    started_at: '2026-11-24T10:00:00.000001Z',
    updated_at: '2026-11-24T10:00:01.000000Z',
    completed_at: '2026-11-24T10:00:01.000000Z',
    ...changes,
  },
});

describe('ended rows', () => {
  // proof: lifecycle-rate
  it('are kept for a minute, and open ones never', () => {
    const rows = new EndedRows();
    rows.add([placed('done'), placed('failed', { status: 'failed' }), placed('open', { status: 'running' })], 1_000);
    assert.deepEqual(
      ['done', 'failed', 'open'].map((id) => rows.get(id, 60_999)?.row.id ?? null),
      ['done', 'failed', null],
    );
    assert.equal(rows.get('done', 61_000), null, 'it may have been pruned');
  });

  it('are at most five thousand, the newest', () => {
    const rows = new EndedRows();
    rows.add(Array.from({ length: 5_001 }, (_, index) => placed(`row-${index}`)));
    assert.deepEqual([rows.get('row-0'), rows.get('row-5000')?.row.id], [null, 'row-5000']);
  });

  it('stand in the order in which rows began, then of their position', () => {
    const later = { started_at: '2026-11-24T10:00:00.000002Z' };
    const ordered = inOrder([placed('c', later), placed('b', {}, 2), placed('a', {}, 1)]);
    assert.deepEqual(
      ordered.map(({ id }) => id),
      ['a', 'b', 'c'],
    );
  });
});
