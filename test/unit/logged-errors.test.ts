import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { DeckhandError } from '../../fleet/errors.ts';
import { errorOfLog } from '../../lib/logger.ts';

describe('an error in the log', () => {
  // proof: field-3.7-3
  it('has its message beside its code, whoever logs it', () => {
    const failure = ApplicationFailure.create({ type: 'EngineBusy', message: 'start of container web1: no' });
    const { type, message } = errorOfLog(failure) as { type: string; message: string };
    assert.deepEqual([type, message], ['EngineBusy', 'start of container web1: no']);
    const own = errorOfLog(new DeckhandError('DiskFull', 'full')) as { code: string; message: string };
    assert.deepEqual([own.code, own.message], ['DiskFull', 'full']);
    assert.equal(errorOfLog('text'), 'text');
  });
});
