/**
 * Current and desired state of one decky → a list of typed steps, each with its reason. Pure: the model is
 * balena-supervisor's composition steps. execute.ts runs them; nothing here knows Docker's client.
 */
import type { ComposeService, DeckySpec } from '../../fleet/compose.ts';
import { type Difference, DRIFT, type DriftReason } from '../../fleet/drift.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { composeConfigHash } from './create-options.ts';
import { type CurrentContainer, howToUnpause } from './observe.ts';

export type Step =
  | { readonly action: 'removeContainer'; readonly target: string; readonly reason: string; readonly id: string }
  | { readonly action: 'stopContainer'; readonly target: string; readonly reason: string; readonly id: string }
  | { readonly action: 'ensureNetwork'; readonly target: string; readonly reason: string }
  | { readonly action: 'ensureImage'; readonly target: string; readonly reason: string; readonly key: string }
  | { readonly action: 'createContainer'; readonly target: string; readonly reason: string; readonly key: string }
  | {
      readonly action: 'startContainer';
      readonly target: string;
      readonly reason: string;
      readonly key: string;
      /** null: the one that the plan creates. */
      readonly id: string | null;
    };

export type Action = Step['action'];

export interface PlanContext {
  readonly networkName: string;
  /** Id of the network as it will stay; null where it has to be made or made anew. */
  readonly networkId: string | null;
  readonly project: string;
}

/** What one service of the spec needs. */
type Verdict =
  | { readonly kind: 'keep'; readonly container: CurrentContainer }
  | { readonly kind: 'start'; readonly container: CurrentContainer; readonly reason: string }
  /** `drift` is empty where only its base's fate is the reason. */
  | { readonly kind: 'create'; readonly reason: string; readonly drift: readonly Found[] };

interface Found {
  readonly reason: DriftReason;
  readonly text: string;
}

/** The image's name: Compose's default where a service with `build` names none. */
export const imageName = (key: string, service: ComposeService, project: string): string =>
  service.image ?? `${project}-${key}`;

export function serviceOf(spec: DeckySpec, key: string): ComposeService {
  const service = spec.services[key];
  if (!service) throw new DeckhandError('Internal', `decky ${spec.decky}: service ${key} is listed but not described`);
  return service;
}

const addressOf = (service: ComposeService): string | null =>
  Object.values(service.networks ?? {})[0]?.ipv4_address ?? null;

/** Why a container can't stay, one phrase a difference; empty when it can. */
function differences(
  spec: DeckySpec,
  key: string,
  container: CurrentContainer,
  baseId: string | null,
  context: PlanContext,
): Found[] {
  const service = serviceOf(spec, key);
  const isBase = key === spec.keys[0];
  const found: Found[] = [];
  const add = (reason: DriftReason, text: string): number => found.push({ reason, text });
  const image = imageName(key, service, context.project);
  if (container.name !== service.container_name) add(DRIFT.otherConfiguration, `its name is ${container.name}`);
  const otherImage = container.image !== image;
  if (container.configHash !== composeConfigHash(service, isBase ? null : baseId))
    add(otherImage ? DRIFT.otherImage : DRIFT.otherConfiguration, 'its configuration changed');
  else if (otherImage) add(DRIFT.otherImage, `the image ${image} changed`);
  if (isBase && (context.networkId === null || container.networkId !== context.networkId))
    add(DRIFT.movedAddress, `it is not on the network ${context.networkName}`);
  else if (isBase && container.ip !== null && container.ip !== addressOf(service))
    add(DRIFT.movedAddress, `its address is ${container.ip}`);
  if (container.state === 'paused') add(DRIFT.paused, 'it is paused');
  if (['dead', 'removing', 'restarting'].includes(container.state)) add(DRIFT.exited, `it is ${container.state}`);
  if (container.cutOff && container.state === 'running')
    add(DRIFT.cutOff, 'it is cut off, since its base was started after it');
  if (container.unstartable && container.state !== 'running') add(DRIFT.exited, 'the engine can’t start it as it is');
  return found;
}

function judge(
  spec: DeckySpec,
  key: string,
  found: readonly CurrentContainer[],
  base: Verdict | null,
  context: PlanContext,
): Verdict {
  const container = found.find((candidate) => candidate.key === key);
  if (!container)
    return { kind: 'create', reason: 'it is missing', drift: [{ reason: DRIFT.missing, text: 'it is missing' }] };
  if (base?.kind === 'create') return { kind: 'create', reason: 'its base is made anew', drift: [] };
  const drift = differences(spec, key, container, base?.container.id ?? null, context);
  if (drift.length > 0) return { kind: 'create', reason: drift.map(({ text }) => text).join(', '), drift };
  if (container.state !== 'running') return { kind: 'start', container, reason: `it is ${container.state}` };
  // A base that is started again has a new network namespace; one that joined the old has no network any more.
  if (base?.kind === 'start') return { kind: 'create', reason: 'its base did not run', drift: [] };
  return { kind: 'keep', container };
}

function judgeAll(spec: DeckySpec, current: readonly CurrentContainer[], context: PlanContext): Map<string, Verdict> {
  const [baseKey, ...serviceKeys] = spec.keys;
  const base = judge(spec, baseKey, current, null, context);
  const verdicts = new Map<string, Verdict>([[baseKey, base]]);
  for (const key of serviceKeys) verdicts.set(key, judge(spec, key, current, base, context));
  return verdicts;
}

function removals(current: readonly CurrentContainer[], verdicts: ReadonlyMap<string, Verdict>): Step[] {
  const steps: Step[] = [];
  for (const container of current) {
    const verdict = verdicts.get(container.key);
    if (verdict && verdict.kind !== 'create' && verdict.container.id === container.id) continue;
    const reason = !verdict
      ? 'nobody wants it any more'
      : verdict.kind === 'create'
        ? verdict.reason
        : 'it is there twice';
    steps.push({ action: 'removeContainer', target: container.name, reason, id: container.id });
  }
  return steps;
}

/** A stopped decky keeps what containers it has, none of which may run: what it lacks, or has otherwise, is for its start. */
function planStopped(spec: DeckySpec, current: readonly CurrentContainer[]): Step[] {
  return current.flatMap(({ id, key, name, state }): Step[] => {
    if (!spec.keys.includes(key))
      return [{ action: 'removeContainer', target: name, reason: 'nobody wants it any more', id }];
    if (!RUNS.includes(state)) return [];
    return [{ action: 'stopContainer', target: name, reason: `it is ${state}, and should be stopped`, id }];
  });
}

/** The states in which a container's program lives, or will again by itself. */
export const RUNS: readonly string[] = ['running', 'paused', 'restarting'];

/** Steps that bring one decky from what runs to what should; none when all is as it should be. Base before services. */
export function planDecky(spec: DeckySpec, current: readonly CurrentContainer[], context: PlanContext): Step[] {
  if (spec.stopped) return planStopped(spec, current);
  const verdicts = judgeAll(spec, current, context);
  const steps = removals(current, verdicts);
  /** Image → the service that it is for first. */
  const images = new Map<string, string>();
  const containers: Step[] = [];
  for (const [key, verdict] of verdicts) {
    if (verdict.kind === 'keep') continue;
    const service = serviceOf(spec, key);
    const target = service.container_name;
    if (verdict.kind === 'create') {
      const image = imageName(key, service, context.project);
      if (!images.has(image)) images.set(image, key);
      containers.push({ action: 'createContainer', target, reason: verdict.reason, key });
    }
    const id = verdict.kind === 'start' ? verdict.container.id : null;
    containers.push({ action: 'startContainer', target, reason: verdict.reason, key, id });
  }
  if (verdicts.get(spec.keys[0])?.kind !== 'keep')
    steps.push({ action: 'ensureNetwork', target: context.networkName, reason: `${spec.decky} needs it` });
  for (const [target, key] of images)
    steps.push({ action: 'ensureImage', target, reason: `${serviceOf(spec, key).container_name} is made of it`, key });
  return [...steps, ...containers];
}

/** How what runs differs from the spec, for screens: one phrase a difference. */
export function describeDifferences(
  spec: DeckySpec,
  current: readonly CurrentContainer[],
  context: PlanContext,
): string[] {
  return planDecky(spec, current, context).flatMap((step) => {
    if (step.action === 'ensureNetwork' || step.action === 'ensureImage') return [];
    if (step.action === 'startContainer' && step.id === null) return [];
    return [`${step.target}: ${step.reason}`];
  });
}

/** How what runs differs from the spec, by reason: the plan's own judgement. What follows from the base's fate is its base's. */
export function findDifferences(
  spec: DeckySpec,
  current: readonly CurrentContainer[],
  context: PlanContext,
): Difference[] {
  if (spec.stopped)
    return planStopped(spec, current).map(({ action, target, reason }) => ({
      reason: action === 'stopContainer' ? DRIFT.otherConfiguration : DRIFT.orphan,
      container: target,
      detail: reason,
    }));
  const verdicts = judgeAll(spec, current, context);
  const found = [...verdicts].flatMap(([key, verdict]): Difference[] => {
    const container = serviceOf(spec, key).container_name;
    if (verdict.kind === 'keep') return [];
    if (verdict.kind === 'start') return [{ reason: DRIFT.exited, container, detail: verdict.reason }];
    return verdict.drift.map(({ reason, text }) => ({
      reason,
      container,
      detail: reason === DRIFT.paused ? `${text}; ${howToUnpause(container)}` : text,
    }));
  });
  const orphans = current.filter(({ key }) => !verdicts.has(key));
  const unwanted = orphans.map(({ name }) => ({
    reason: DRIFT.orphan,
    container: name,
    detail: 'nobody wants it any more',
  }));
  return [...found, ...unwanted];
}
