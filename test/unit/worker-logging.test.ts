import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { pino } from 'pino';
import { withError } from '../../worker/logging.ts';

describe('the worker’s log', () => {
  // proof: field-3.7-1
  it('has the message of every activity that failed', () => {
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    const error = ApplicationFailure.create({ type: 'EngineBusy', message: 'EngineBusy: no space left on device' });
    log.warn(withError({ activityType: 'composeUp', error }), 'Activity failed');
    const { err, activityType } = JSON.parse(lines[0] ?? '{}') as { err: { message: string }; activityType: string };
    assert.deepEqual([activityType, err.message], ['composeUp', 'EngineBusy: no space left on device']);
    log.info(withError(undefined), 'nothing more');
  });
});
