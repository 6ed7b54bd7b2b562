/** Runs a plan: an executor for each kind of step, in the order that their dependencies demand. */
import type Docker from 'dockerode';
import type { DeckySpec } from '../../fleet/compose.ts';
import type { FleetNetwork } from '../../fleet/config.ts';
import { DeckhandError, type ErrorCode } from '../../fleet/errors.ts';
import type { EngineScope, OperationOptions } from '../engine.ts';
import type { Containers } from './containers.ts';
import { composeConfigHash, containerLabels, createOptions, LABEL, ownerInWords } from './create-options.ts';
import { isCrashing, withEvidence } from './health.ts';
import type { ImageStore } from './images.ts';
import type { NetworkKeeper } from './network.ts';
import { describeContainer, fateOf, inspectContainer, lastLogLines } from './observe.ts';
import { type Action, imageName, type Step, serviceOf } from './plan.ts';
import { allSettled, callEngine, engineMessage, engineStatus, READ_TIMEOUT_MS } from './transport.ts';

export interface Tools {
  readonly docker: Docker;
  readonly scope: EngineScope;
  readonly composeFile: string;
  readonly containers: Containers;
  readonly images: ImageStore;
  readonly network: NetworkKeeper;
}

interface Run {
  readonly tools: Tools;
  readonly spec: DeckySpec;
  /** Null: the network is there, and stays as it is. */
  readonly fleetNetwork: FleetNetwork | null;
  readonly options: OperationOptions;
  /** Ids by service key: the base as it stays, then what was created. */
  readonly ids: Map<string, string>;
}

/** What the engine answers to the start of a service whose base has died, depending on the moment. */
const MAY_BE_THE_BASE: ReadonlySet<ErrorCode> = new Set(['ContainerExited', 'EngineRefused', 'EngineBusy']);

type StepOf<A extends Action> = Extract<Step, { action: A }>;

const EXECUTORS: { readonly [A in Action]: (step: StepOf<A>, run: Run) => Promise<void> } = {
  async removeContainer(step, { tools, options }) {
    options.onProgress?.(`removing ${step.target}: ${step.reason}`);
    await tools.containers.remove(step.id, step.target, options.signal);
  },

  async stopContainer(step, { tools, options }) {
    options.onProgress?.(`stopping ${step.target}`);
    await tools.containers.stop(step.id, step.target, options.signal);
  },

  async ensureNetwork(_step, { tools, fleetNetwork, options }) {
    if (fleetNetwork) await tools.network.ensure(fleetNetwork, options);
  },

  async ensureImage(step, { tools, spec, options }) {
    await tools.images.ensure(step.target, serviceOf(spec, step.key).build, options);
  },

  async createContainer(step, run) {
    const { tools, options } = run;
    options.onProgress?.(`creating ${step.target}`);
    const image = imageName(step.key, serviceOf(run.spec, step.key), tools.scope.project);
    try {
      const body = await bodyOf(step.key, image, run);
      run.ids.set(step.key, await tools.containers.create(step.target, body, options.signal));
    } catch (error) {
      if (error instanceof DeckhandError && engineStatus(error.cause) === 404) tools.images.forget(image);
      throw error;
    }
  },

  async startContainer(step, run) {
    const { tools, options } = run;
    options.onProgress?.(`starting ${step.target}`);
    const id = step.id ?? run.ids.get(step.key);
    if (id === undefined)
      throw new DeckhandError('Internal', `container ${step.target} is to be started but was not created`);
    try {
      await tools.containers.start(id, step.target, options.signal);
    } catch (error) {
      if (error instanceof DeckhandError && engineStatus(error.cause) === 404) tools.network.forget();
      if (!(error instanceof DeckhandError)) throw error;
      if (error.code === 'AddressTaken') throw await addressTaken(error, step.key, run);
      if (step.key !== run.spec.keys[0] && MAY_BE_THE_BASE.has(error.code))
        throw await withoutBase(error, step.target, run);
      throw error;
    }
  },
};

const execute = <A extends Action>(step: StepOf<A>, run: Run): Promise<void> =>
  (EXECUTORS[step.action] as (step: StepOf<A>, run: Run) => Promise<void>)(step, run);

async function bodyOf(key: string, image: string, run: Run): Promise<Docker.ContainerCreateOptions> {
  const { tools, spec } = run;
  const service = serviceOf(spec, key);
  const baseId = key === spec.keys[0] ? null : (run.ids.get(spec.keys[0]) ?? null);
  const imageId = await tools.images.ensure(image, service.build, run.options);
  const configHash = composeConfigHash(service, baseId);
  const facts = { key, configHash, imageId, composeFile: tools.composeFile };
  const labels = containerLabels(service, tools.scope, facts);
  return createOptions(service, { key, image, labels, networkName: tools.network.name, baseId });
}

/** The engine says only that the address is in use: finds out who has it, where that can be told. */
async function addressTaken(error: DeckhandError, key: string, run: Run): Promise<DeckhandError> {
  const { tools, spec, options } = run;
  const address = Object.values(serviceOf(spec, key).networks ?? {})[0]?.ipv4_address ?? '';
  const name = tools.network.name;
  const doing = `listing of containers on network ${name}`;
  const infos = await callEngine({ doing, signal: options.signal, timeoutMs: READ_TIMEOUT_MS }, (abortSignal) =>
    tools.docker.listContainers({ filters: { network: [name] }, abortSignal }),
  );
  const holder = infos.find((info) => info.NetworkSettings.Networks[name]?.IPAddress === address);
  const who = holder
    ? `container ${(holder.Names[0] ?? holder.Id).replace(/^\//, '')} (${ownerOrDecky(holder.Labels, tools.scope)})`
    : 'something that is no running container of this network';
  return new DeckhandError(
    'AddressTaken',
    `address ${address} of decky ${spec.decky} is in use by ${who}; give the decky another address ` +
      `or free this one (${engineMessage(error.cause)})`,
    { cause: error.cause },
  );
}

/**
 * A service can't start because its base does not run. The engine says so in several ways: 409 where it looked first, 400 or 500
 * from runc where the base died meanwhile. A base that ended by itself has failed: it and its last words are what an operator has
 * to see. One that was ended from outside, by a restart of the engine for instance, is started by the next try.
 */
async function withoutBase(error: DeckhandError, target: string, run: Run): Promise<DeckhandError> {
  const { tools, spec, options } = run;
  const name = serviceOf(spec, spec.keys[0]).container_name;
  const base = await inspectContainer(tools.docker, tools.scope, name, options.signal);
  const fate = fateOf(base, null);
  const hasFailed = base && (fate === 'ended' || fate === 'paused' || (fate === 'restarting' && isCrashing(base)));
  if (!hasFailed) {
    if (error.code !== 'ContainerExited') return error;
    const why = base ? describeContainer(base) : `container ${name} is not there`;
    return new DeckhandError('EngineBusy', `start of container ${target}: its base did not run: ${why}`, {
      cause: error,
    });
  }
  const judgement = { status: 'failed', sentence: describeContainer(base), container: base } as const;
  const health = withEvidence(judgement, await lastLogLines(tools.docker, base.id, options.signal));
  return health.status === 'failed' ? new DeckhandError('ContainerExited', health.sentence, { cause: error }) : error;
}

const ownerOrDecky = (labels: Record<string, string>, scope: EngineScope): string =>
  labels[LABEL.instance] === scope.instance && labels[LABEL.project] === scope.project
    ? `decky ${labels[LABEL.decky] ?? 'unknown'}`
    : `of ${ownerInWords(labels)}`;

/**
 * What goes, goes first, since it may hold a name, an address or the old network. Services are created while their base
 * starts (creating needs only its id), and started once it runs. Ends only when every call that it made has ended.
 */
export async function executePlan(steps: readonly Step[], run: Run): Promise<void> {
  const of = <A extends Action>(action: A): StepOf<A>[] =>
    steps.filter((step): step is StepOf<A> => step.action === action);
  const doAll = (some: readonly Step[]): Promise<unknown> => allSettled(some.map((step) => execute(step, run)));
  const clearThenNetwork = async (): Promise<void> => {
    await doAll([...of('removeContainer'), ...of('stopContainer')]);
    await doAll(of('ensureNetwork'));
  };
  await allSettled<unknown>([clearThenNetwork(), doAll(of('ensureImage'))]);
  const creates = of('createContainer');
  const starts = of('startContainer');
  const baseKey = run.spec.keys[0];
  await doAll(creates.filter((step) => step.key === baseKey));
  const baseUp = doAll(starts.filter((step) => step.key === baseKey));
  const services = run.spec.keys.slice(1).map(async (key) => {
    await doAll(creates.filter((step) => step.key === key));
    await baseUp;
    await doAll(starts.filter((step) => step.key === key));
  });
  await allSettled<unknown>([baseUp, ...services]);
}
