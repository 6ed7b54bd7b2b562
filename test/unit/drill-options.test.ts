import assert from 'node:assert/strict';
import { parseDrillOptions } from '../drills/options.ts';

describe('options of a drill', () => {
  const minutesOf = (...args: string[]): number => parseDrillOptions(args).minutes;

  it('give it time for all of its rounds, unless somebody says how much', () => {
    assert.equal(minutesOf(), 18);
    assert.equal(minutesOf('--rounds', '10'), 40);
    assert.equal(minutesOf('--rounds', '10', '--minutes', '5'), 5);
  });

  it('are refused where they are no numbers', () => {
    assert.throws(() => minutesOf('--rounds', 'ten'), /--rounds wants a whole number from 1, not "ten"/);
    assert.throws(() => minutesOf('--minutes', '0'), /--minutes wants a whole number from 1, not "0"/);
    assert.throws(() => minutesOf('--agents', 'x'), /--agents wants a number, not "x"/);
  });
});
