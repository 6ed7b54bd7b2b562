/** Short ways to plan a deploy and to catch what it refuses. */
import assert from 'node:assert/strict';
import type { DesiredDecky, FleetNetwork } from '../../fleet/config.ts';
import { type ErrorCode, isDeckhandError } from '../../fleet/errors.ts';
import type { DeployPlan, FleetMember, FleetSnapshot, NetworkContext } from '../../fleet/plan-deploy.ts';
import { planDeploy } from '../../fleet/plan-deploy.ts';

export const GENERAL = '[general]\nnet=10.77.0.0/24\ngw=10.77.0.1\ninterface=eth0\n\n';

export const NETWORK: FleetNetwork = {
  driver: 'macvlan',
  interface: 'eth0',
  subnet: '10.77.0.0/24',
  gateway: '10.77.0.1',
};

export const CONTEXT: NetworkContext = {
  driver: 'macvlan',
  host_ip: '10.77.0.2',
  interfaces: ['lo', 'eth0', 'eth1'],
  detected: { interface: 'eth0', subnet: '10.77.0.0/24', gateway: '10.77.0.1' },
  bridge_pool: null,
};

export const BRIDGE: NetworkContext = {
  driver: 'bridge',
  host_ip: null,
  interfaces: ['lo', 'eth0'],
  detected: null,
  bridge_pool: '10.200.0.0/24',
};

export const EMPTY: FleetSnapshot = { network: null, members: [], limit: 100 };

export const member = (desired: DesiredDecky, more: Partial<FleetMember> = {}): FleetMember => ({
  desired,
  host_uuid: null,
  established: true,
  open: null,
  ...more,
});

/** The fleet after a plan was carried out: everything that it made is established. */
export const carriedOut = (plan: DeployPlan, limit = 100): FleetSnapshot => ({
  network: plan.network,
  members: plan.deckies.map((desired) => member(desired)),
  limit,
});

interface PlanOptions {
  readonly fleet?: FleetSnapshot;
  readonly context?: NetworkContext;
  readonly replace?: boolean;
  readonly seed?: string;
}

export const plan = (ini: string, options: PlanOptions = {}): DeployPlan =>
  planDeploy(
    { ini_content: ini, replace_fleet: options.replace ?? false },
    options.fleet ?? EMPTY,
    options.context ?? CONTEXT,
    options.seed ?? 'seed',
  );

/** Asserts that `attempt` throws the code, with exactly that sentence or one that matches. */
export function assertRefused(attempt: () => unknown, code: ErrorCode, sentence?: string | RegExp): void {
  assert.throws(attempt, (error: unknown) => {
    assert.ok(isDeckhandError(error), String(error));
    assert.equal(error.code, code, error.message);
    if (typeof sentence === 'string') assert.equal(error.message, sentence);
    else if (sentence) assert.match(error.message, sentence);
    return true;
  });
}
