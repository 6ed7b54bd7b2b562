/** The schemas of what travels, held against those who send it and those who read it. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { deployBody as agentDeployBody } from '../../agent/bodies.ts';
import { AgentStatus, Delta } from '../../fleet/agent-report.ts';
import { DEFAULT_BUILD_BASE } from '../../fleet/catalog.ts';
import { DRIFT } from '../../fleet/drift.ts';
import { DURATIONS, type DurationName } from '../../fleet/durations.ts';
import { readDelta, readHostObservation } from '../../fleet/host-observation.ts';
import { deployBody } from '../../fleet/hosts.ts';
import { DECKY_STATE, OPERATION, STATUS } from '../../fleet/lifecycle.ts';
import { AgentDeployBody, DeckyConfig, StrictDeckyConfig } from '../../fleet/wire.ts';
import { GENERAL, NETWORK, plan } from '../support/fixtures/planning.ts';

const SENT = { name: 'a', ip: '10.77.0.5', services: ['ssh'], distro: 'debian', base_image: 'b', hostname: 'h' };
const FENCE = { operation_id: 'op', attempt: 2 };
const NAMES = ['a', 'b', 'web-01'];

/** Drawn objects have no prototype; those of JSON have one. */
const plain = <T>(drawn: T): T => structuredClone(drawn);
const oneOf = <T>(values: Readonly<Record<string, T>>) => fc.constantFrom(...Object.values(values));
const fence = { operation_id: fc.constantFrom('op', 'other'), attempt: fc.integer({ min: 1, max: 9 }) };
const text = fc.constantFrom('x', 'web-01-ssh exited with code 1', 'ééé');

const decky = fc.record(
  {
    ...fence,
    operation: oneOf(OPERATION),
    status: oneOf(STATUS),
    error: fc.option(text),
    seen: oneOf(DECKY_STATE),
    config_hash: fc.option(text),
    step: fc.option(text),
    drift: fc.array(fc.record({ reason: oneOf(DRIFT), container: fc.constantFrom('a', 'a-ssh') }), { maxLength: 4 }),
  },
  { requiredKeys: ['operation_id', 'attempt', 'operation', 'status', 'error', 'seen', 'config_hash', 'step'] },
);
const status = fc.record({
  deployed: fc.constant(true),
  deckies: fc.subarray(NAMES).map((names) => names.map((name) => StrictDeckyConfig.parse({ ...SENT, name }))),
  runtime: fc.dictionary(
    fc.constantFrom(...NAMES),
    fc.record({ running: fc.boolean(), services: fc.constant({ ssh: 'exited' }) }),
  ),
  deckhand: fc.record(
    {
      version: fc.constant('1.0.0'),
      network: fc.option(fc.constant(NETWORK)),
      work: fc.array(
        fc.record({ ...fence, kind: fc.constant('deploy' as const), state: fc.constant('queued' as const) }),
        { maxLength: 3 },
      ),
      deckies: fc.dictionary(fc.constantFrom(...NAMES), decky),
      ticket: fc.nat(),
      unreported: fc.nat(),
      orphans: fc.subarray(['x', 'y']),
    },
    { requiredKeys: ['version', 'network', 'work', 'deckies', 'unreported'] },
  ),
});
const delta = fc.record(
  {
    decky_name: fc.constantFrom(...NAMES),
    operation: oneOf(OPERATION),
    status: fc.constantFrom('running' as const, 'succeeded' as const, 'failed' as const),
    ...fence,
    sequence: fc.nat(),
    error: text,
    completed_at: fc.constant('2026-11-23T19:00:37.601Z'),
    seen: oneOf(DECKY_STATE),
  },
  { requiredKeys: ['decky_name', 'operation', 'status', 'operation_id', 'attempt', 'sequence'] },
);

describe('the configuration of a decky', () => {
  it('gets the defaults of the catalogue where others leave them out', () => {
    const config = StrictDeckyConfig.parse(SENT);
    assert.equal(config.build_base, DEFAULT_BUILD_BASE);
    assert.deepEqual(DeckyConfig.parse(config), config);
    assert.deepEqual(StrictDeckyConfig.parse(config), config);
  });

  it('is refused with a key that it does not have, or without services', () => {
    assert.equal(StrictDeckyConfig.safeParse({ ...SENT, mood: 'fine' }).success, false);
    assert.equal(StrictDeckyConfig.safeParse({ ...SENT, services: [] }).success, false);
    assert.equal(StrictDeckyConfig.safeParse({ ...SENT, mutate_interval: 1.5 }).success, false);
  });
});

describe('an order of the master', () => {
  const { deckies } = plan(`${GENERAL}[a]\nservices=ssh\n[b]\nservices=http\n`);
  const within = (name: DurationName) => fc.integer({ min: DURATIONS[name].least, max: DURATIONS[name].most });

  it('is taken by the agent as it was sent, for all times that the master accepts', () => {
    void fc.assert(
      fc.property(
        fc.record({
          minHealthyTimeMs: within('min_healthy_time'),
          healthyDeadlineMs: within('healthy_deadline'),
          progressDeadlineMs: within('progress_deadline'),
        }),
        (options) => {
          const facts = { network: NETWORK, useIpvlan: false, fence: FENCE, deploy: ['a'], remove: [], options };
          const sent = deployBody(deckies, facts);
          assert.deepEqual(AgentDeployBody.parse(sent), sent);
          const taken = agentDeployBody.parse(JSON.parse(JSON.stringify(sent)));
          assert.deepEqual(taken, { ...sent, deckhand: { ...sent.deckhand, stopped: [] } });
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('what an agent of ours says', () => {
  it('is read in whole: nothing that fits the schemas is dropped or changed', () => {
    void fc.assert(
      fc.property(status, (drawn) => {
        const said = plain(drawn);
        assert.deepEqual(AgentStatus.parse(said), said);
        const { report, deckies, runtime, complete } = readHostObservation(said);
        assert.equal(complete, true);
        assert.deepEqual(
          deckies.map(({ config }) => config),
          said.deckies,
        );
        assert.deepEqual(Object.fromEntries(runtime), { ...said.runtime });
        assert.ok(report?.complete);
        assert.deepEqual(
          report.work,
          said.deckhand.work.map(({ operation_id, attempt }) => ({ operation_id, attempt })),
        );
        assert.deepEqual([report.orphans, report.ticket], [said.deckhand.orphans ?? [], said.deckhand.ticket ?? null]);
        for (const [name, one] of Object.entries(said.deckhand.deckies)) {
          const { operation: _, config_hash: __, drift = null, ...kept } = one;
          assert.deepEqual(report.deckies.get(name), { ...kept, drift });
        }
      }),
      { numRuns: 100 },
    );
  });

  it('of a row is read in whole as well', () => {
    void fc.assert(
      fc.property(delta, (drawn) => {
        const said = plain(drawn);
        assert.deepEqual(Delta.parse(said), said);
        const read = readDelta(said);
        assert.deepEqual(
          [read?.deckyName, read?.operation, read?.status, read?.error, read?.seen, read?.fence],
          [
            said.decky_name,
            said.operation,
            said.status,
            said.error ?? null,
            said.seen ?? null,
            { operationId: said.operation_id, attempt: said.attempt, sequence: said.sequence },
          ],
        );
      }),
      { numRuns: 100 },
    );
  });
});
