import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ActivityOptions } from '@temporalio/workflow';
import fc from 'fast-check';
import { deployBody, mutateBody } from '../../agent/bodies.ts';
import { readAgentConfig } from '../../agent/config.ts';
import { apiVariables, rolloutDefaults } from '../../api/config.ts';
import { DeployBody, lostAfter, rolloutOptions } from '../../api/routes/deckies.ts';
import { durationOption, timeoutMs } from '../../cli/options.ts';
import {
  boundedDuration,
  DURATION_NAMES,
  DURATIONS,
  type DurationName,
  durationText,
  intervalMs,
  parseDuration,
  rangeOf,
  variableOf,
} from '../../fleet/durations.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { boundedRollout, ROLLOUT_DURATIONS, type RolloutOptions, rolloutWith } from '../../fleet/limits.ts';
import { EnvironmentError, readEnvironment } from '../../lib/environment.ts';
import { readWorkerConfig } from '../../worker/config.ts';
import * as profiles from '../../workflows/profiles.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DATABASE_URL = 'postgres://deckhand:secret@127.0.0.1:5432/deckhand';
const HOUR = 3_600_000;

/** What is a duration nowhere. */
const NONE = [
  '999999999h',
  '1e3s',
  '1e3',
  'NaN',
  'Infinity',
  '-1s',
  '-0.5h',
  '5',
  '1.2345s',
  '10 m',
  '5 minutes',
  '٣s',
  '',
  's',
  '1d',
  '1h30m',
  '0x10s',
  '1_000s',
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  1,
  1.5,
  90,
  1e300,
  true,
  false,
  null,
  [],
  ['3s'],
  {},
  'x'.repeat(10_000),
];

/** Durations within the table, as their owner would write them, and the milliseconds that they are. */
const accepted = (name: DurationName) =>
  fc.oneof(
    fc.constantFrom(DURATIONS[name].least, DURATIONS[name].most, DURATIONS[name].usual),
    fc.integer({ min: DURATIONS[name].least, max: Math.min(DURATIONS[name].most, 999_999_999) }),
  );

/** Just outside, on either side; below 0 there is nothing to write. */
const outside = (name: DurationName): string[] => {
  const { least, most } = DURATIONS[name];
  return [`${most + 1}ms`, `${most / HOUR + 1}h`, ...(least > 0 ? [`${least - 1}ms`, '0', '0s', '0ms'] : [])];
};

/** Of two that have to fit, the other one, so that each can be taken at both ends of its range. */
const PARTNER: Readonly<Partial<Record<DurationName, Record<string, string>>>> = {
  min_healthy_time: { DECKHAND_HEALTHY_DEADLINE: '24h' },
  healthy_deadline: { DECKHAND_MIN_HEALTHY_TIME: '0' },
};

/** What each program makes of a variable. */
const READ: Readonly<Partial<Record<DurationName, (text: string) => number | undefined>>> = {
  ...Object.fromEntries(
    ROLLOUT_DURATIONS.map(([option, name]) => [
      name,
      (text: string) =>
        rolloutDefaults(
          readEnvironment(apiVariables, { DATABASE_URL, ...PARTNER[name], [`${variableOf(name)}`]: text }),
        )[option],
    ]),
  ),
  report_grace: (text) => readWorkerConfig({ DATABASE_URL, DECKHAND_REPORT_GRACE: text }).reportGraceMs,
  look_interval: (text) => readWorkerConfig({ DATABASE_URL, DECKHAND_LOOK_INTERVAL: text }).lookMs,
  heartbeat_interval: (text) => readAgentConfig({ DECKHAND_HEARTBEAT_INTERVAL: text }).heartbeatMs,
};

const FENCE = { operation_id: 'one', attempt: 1 };
const wireOf = (options: RolloutOptions) => ({
  ...FENCE,
  min_healthy_time_ms: options.minHealthyTimeMs,
  healthy_deadline_ms: options.healthyDeadlineMs,
  progress_deadline_ms: options.progressDeadlineMs,
});

/** Every profile that takes a wait, by its name. */
const TAKING = Object.entries(profiles).filter(
  (entry): entry is [string, (ms: number) => ActivityOptions] =>
    typeof entry[1] === 'function' && entry[0] !== 'boundedWait',
);

describe('durations', () => {
  // proof: field-1.1-1
  it('are taken by the API, the command and the environment within the table alone', () => {
    for (const name of DURATION_NAMES) {
      const { least, most } = DURATIONS[name];
      for (const ms of [least, most]) {
        const text = durationText(ms);
        assert.equal(parseDuration(text, name), ms);
        assert.equal(READ[name]?.(text) ?? ms, ms, `${variableOf(name)}=${text}`);
      }
      for (const text of [...outside(name), ...NONE])
        assert.throws(() => parseDuration(text, name), refusing(name, rangeOf(name)), `${name}: ${String(text)}`);
    }
  });

  it('stop a program from starting where a variable is out of range, with its name and range', () => {
    for (const [name, read] of Object.entries(READ) as [DurationName, (text: string) => unknown][])
      for (const text of [...outside(name), 'soon', '-1s', 'NaN', '1e3s', '999999999h'])
        assert.throws(
          () => read(text),
          (error) =>
            error instanceof EnvironmentError &&
            error.message.includes(`${variableOf(name)}: ${JSON.stringify(text)} is `) &&
            error.message.includes(rangeOf(name)),
          `${variableOf(name)}=${text}`,
        );
  });

  it('of a body or a query are refused by a sentence with field and range', () => {
    for (const [option, name] of ROLLOUT_DURATIONS) {
      const body = (value: unknown) => rolloutOptions(DeployBody.parse({ ini_content: '[a]', [name]: value }));
      for (const value of [...outside(name), ...NONE])
        assert.throws(() => body(value), refusing(name, rangeOf(name)), `${name}: ${JSON.stringify(value)}`);
      fc.assert(fc.property(accepted(name), (ms) => body(`${ms}ms`)[option] === ms));
    }
    assert.throws(() => lostAfter('0'), refusing('host_lost_after', rangeOf('host_lost_after')));
    assert.throws(() => lostAfter(['1s', '2s']), refusing('host_lost_after', rangeOf('host_lost_after')));
    assert.deepEqual(lostAfter(undefined), {});
  });

  it('of an option are refused before anything is asked, by the sentence of the API', () => {
    for (const [, name] of ROLLOUT_DURATIONS)
      for (const text of outside(name))
        assert.throws(() => durationOption(name)(text), {
          message: sentenceOf(() => parseDuration(text, name)).replace(name, `--${name.replaceAll('_', '-')}`),
        });
    assert.throws(() => timeoutMs('999999999h'), /--timeout: "999999999h" is longer than 720h/);
    assert.equal(timeoutMs('0'), 0);
  });

  // proof: field-1.1-2
  it('are refused where min_healthy_time outlasts healthy_deadline, whichever of them is a default', () => {
    const healthy = (name: 'min_healthy_time' | 'healthy_deadline') =>
      fc.option(fc.oneof(accepted(name), fc.integer({ min: 1_000, max: 600_000 })), { nil: undefined });
    const pair = fc.record({ min: healthy('min_healthy_time'), deadline: healthy('healthy_deadline') });
    const optionsOf = ({ min, deadline }: { min?: number | undefined; deadline?: number | undefined }) => ({
      ...(min === undefined ? {} : { minHealthyTimeMs: min }),
      ...(deadline === undefined ? {} : { healthyDeadlineMs: deadline }),
    });
    fc.assert(
      fc.property(pair, pair, (started, given) => {
        const min = given.min ?? started.min ?? DURATIONS.min_healthy_time.usual;
        const deadline = given.deadline ?? started.deadline ?? DURATIONS.healthy_deadline.usual;
        const merge = () => rolloutWith(optionsOf(started), optionsOf(given));
        if (min <= deadline) assert.deepEqual(merge(), { ...optionsOf(started), ...optionsOf(given) });
        else
          assert.throws(
            merge,
            (error) =>
              isDeckhandError(error) &&
              error.code === 'InvalidParameters' &&
              error.message.startsWith(`min_healthy_time: ${durationText(min)} is longer than healthy_deadline`) &&
              error.message.includes(durationText(deadline)),
          );
      }),
    );
  });

  // proof: field-1.1-2
  it('stop the API from starting where its defaults can’t be met, with both names', () => {
    const read = (variables: Record<string, string>) => () =>
      readEnvironment(apiVariables, { DATABASE_URL, ...variables });
    for (const variables of [
      { DECKHAND_MIN_HEALTHY_TIME: '10m' },
      { DECKHAND_HEALTHY_DEADLINE: '1s' },
      { DECKHAND_MIN_HEALTHY_TIME: '3m', DECKHAND_HEALTHY_DEADLINE: '2m' },
    ])
      assert.throws(
        read(variables),
        (error) =>
          error instanceof EnvironmentError &&
          /DECKHAND_MIN_HEALTHY_TIME: .* is longer than DECKHAND_HEALTHY_DEADLINE/.test(error.message),
      );
    assert.doesNotThrow(read({ DECKHAND_MIN_HEALTHY_TIME: '10m', DECKHAND_HEALTHY_DEADLINE: '20m' }));
  });

  // proof: field-1.1-1
  it('that the master takes are taken by the agent', () => {
    const decky = { name: 'a', ip: '10.0.0.2', services: ['ssh'], distro: 'd', base_image: 'i', hostname: 'h' };
    const config = { mode: 'swarm', interface: 'eth0', subnet: '10.0.0.0/24', gateway: '10.0.0.1', deckies: [decky] };
    const rollout = fc.record({
      min_healthy_time: accepted('min_healthy_time'),
      healthy_deadline: accepted('healthy_deadline'),
      progress_deadline: accepted('progress_deadline'),
    });
    const spelled = (given: object) => Object.fromEntries(Object.entries(given).map(([name, ms]) => [name, `${ms}ms`]));
    fc.assert(
      fc.property(rollout, (given) => {
        const options = boundedRollout(rolloutOptions(DeployBody.parse({ ini_content: '[a]', ...spelled(given) })));
        const deckhand = { ...wireOf(options), deploy: ['a'], remove: [] };
        assert.ok(deployBody.safeParse({ config, deckhand }).success);
        assert.ok(mutateBody.safeParse({ decky_id: 'a', services: ['ssh'], deckhand: wireOf(options) }).success);
      }),
    );
  });

  // proof: field-1.1-1
  it('give every profile time-outs that end, whatever is accepted, stored or left', () => {
    assert.deepEqual(TAKING.map(([name]) => name).sort(), [
      'AWAIT_HOST',
      'REMOTE_TEARDOWN',
      'engineWork',
      'healthWatch',
      'observeRounds',
    ]);
    const any = fc.oneof(
      ...ROLLOUT_DURATIONS.map(([, name]) => accepted(name)),
      fc.double(),
      fc.integer(),
      fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
      fc.constantFrom(null, undefined, '10m', {}).map((value) => value as unknown as number),
    );
    fc.assert(
      fc.property(any, (ms) => {
        for (const [name, profile] of TAKING) {
          const { scheduleToCloseTimeout: limit } = profile(ms);
          assert.ok(Number.isInteger(limit) && Number(limit) >= 1_000 && Number(limit) <= 49 * HOUR, `${name}(${ms})`);
        }
      }),
    );
    for (const [name, ms] of [...ROLLOUT_DURATIONS.map(([, one]) => DURATIONS[one].most), 1_000].entries())
      assert.equal(profiles.engineWork(ms).scheduleToCloseTimeout, ms, String(name));
  });

  it('that were stored by an earlier version come out within the table', () => {
    const stored = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(null, undefined, '10m', 0, -1, Number.NaN));
    const options = fc.record(
      Object.fromEntries([...ROLLOUT_DURATIONS.map(([option]) => option), 'maxParallel'].map((key) => [key, stored])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(options, (given) => {
        const bounded = boundedRollout(given as Partial<RolloutOptions>);
        for (const [option, name] of ROLLOUT_DURATIONS) {
          assert.ok(bounded[option] >= DURATIONS[name].least && bounded[option] <= DURATIONS[name].most, option);
          if (given[option] === undefined) assert.equal(bounded[option], DURATIONS[name].usual);
        }
        assert.ok(bounded.maxParallel === null || (Number.isInteger(bounded.maxParallel) && bounded.maxParallel >= 1));
      }),
    );
    assert.equal(boundedDuration(0, 'progress_deadline'), 1_000);
    assert.equal(intervalMs('999999999y'), intervalMs('100y'), 'Temporal and PostgreSQL can count no further');
  });

  // proof: field-1.1-1
  it('are documented with the range that holds', () => {
    const page = readFileSync(join(ROOT, 'docs/environment.md'), 'utf8').split('\n');
    for (const name of DURATION_NAMES) {
      const variable = variableOf(name);
      if (variable === null) continue;
      const [row = ''] = page.filter((line) => line.startsWith(`| \`${variable}\` |`));
      assert.ok(row.includes(`| \`${durationText(DURATIONS[name].usual)}\``), `${variable}: default`);
      assert.ok(row.includes(rangeOf(name)), `${variable}: ${rangeOf(name)}`);
    }
  });
});

const refusing =
  (said: string, range: string) =>
  (error: unknown): boolean =>
    isDeckhandError(error) &&
    error.code === 'InvalidParameters' &&
    error.message.startsWith(`${said}: `) &&
    error.message.includes(`Write ${range}, for example "`) &&
    error.message.length < 250;

function sentenceOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}
