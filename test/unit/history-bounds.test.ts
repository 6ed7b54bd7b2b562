import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hostGroups, widthOf } from '../../fleet/hosts.ts';
import { MOST_RUN_EVENTS } from '../../fleet/housekeeping.ts';
import {
  grantsForGoodFrom,
  HOSTS_PER_GROUP,
  LIMITS,
  MOST_EVENTS,
  mostEvents,
  mostLeavingEvents,
} from '../../fleet/limits.ts';
import type { OpenRow } from '../../fleet/rows.ts';
import { withFewQuestions } from '../../operations/sweep.ts';

const MOST = LIMITS.deploymentLimitMax;

describe('the history of a deployment', () => {
  // proof: field-1.4-5
  it('has a bound for any share of the most deckies among hosts and the master', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MOST }), fc.double({ min: 0, max: 1, noNaN: true }), (deckies, share) => {
        const hosts = Math.round(deckies * share);
        const { deployment, group } = mostEvents(Math.ceil((deckies - hosts) / LIMITS.localChunk), hosts);
        assert.ok(deployment <= MOST_EVENTS && group <= MOST_EVENTS, `${deployment}, ${group}`);
      }),
    );
    for (const hosts of [1, HOSTS_PER_GROUP, HOSTS_PER_GROUP + 1, MOST])
      for (const length of Object.values(mostEvents(0, hosts))) assert.ok(length <= MOST_EVENTS, `${hosts}: ${length}`);
  });

  it('lets few hosts come and go freely, and many once more at least', () => {
    assert.ok(grantsForGoodFrom(8) > 8_000);
    assert.ok(grantsForGoodFrom(HOSTS_PER_GROUP) > 0);
  });

  // proof: field-1.4-5
  it('has a bound where a host with any number of deckies leaves', () => {
    fc.assert(fc.property(fc.nat(2 * MOST), (deckies) => mostLeavingEvents(deckies) <= MOST_EVENTS));
  });
});

describe('hosts in groups', () => {
  // proof: field-1.4-6
  it('are each in one, in order; the widths together are no more than max_parallel', () => {
    const counts = fc.tuple(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 500 }));
    fc.assert(
      fc.property(counts, fc.option(fc.integer({ min: 1, max: MOST })), ([count, most], maxParallel) => {
        const hosts = Array.from({ length: count }, (_, at) => at);
        const width = widthOf(maxParallel, count);
        const { groups, widths } = hostGroups(hosts, width, most);
        assert.deepEqual(groups.flat(), hosts);
        assert.ok(groups.every((group) => group.length > 0 && group.length <= most));
        assert.equal(widths.length, Math.min(width, groups.length));
        assert.ok(widths.every((one) => one >= 1));
        assert.equal(
          widths.reduce((sum, one) => sum + one, 0),
          width,
        );
        // Where all may be at work, no group is held back.
        if (width >= count && widths.length === groups.length)
          assert.ok(groups.every((group, at) => (widths[at] ?? 0) >= group.length));
      }),
    );
  });
});

describe('the rows that one sweep ends as lost', () => {
  // proof: field-1.4-5
  it('need so few questions to hosts that the history of housekeeping has room for each', () => {
    const rows = Array.from({ length: 3_000 }, (_, at) => ({
      hostUuid: at % 7 === 0 ? null : `h${at % 10}`,
      workflowId: `w${at % 1_000}`,
    }));
    const kept = withFewQuestions(rows as OpenRow[]);
    const questionOf = (row: Pick<OpenRow, 'hostUuid' | 'workflowId'>): string => `${row.hostUuid} ${row.workflowId}`;
    const ofHosts = kept.filter(({ hostUuid }) => hostUuid !== null);
    const questions = new Set(ofHosts.map(questionOf));
    assert.ok(MOST_RUN_EVENTS + questions.size * 6 + 500 < MOST_EVENTS, `${questions.size} questions`);
    assert.equal(kept.length - ofHosts.length, Math.ceil(3_000 / 7));
    assert.deepEqual(
      kept,
      (rows as OpenRow[]).filter((row) => row.hostUuid === null || questions.has(questionOf(row))),
      'all rows of a workflow together, in order',
    );
  });
});
