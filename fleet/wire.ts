/**
 * What travels about deckies: one zod schema each, and the type inferred from it.
 *
 *   a decky    DeckyConfig, CustomService, DesiredDecky, StrictDeckyConfig
 *   an order   DecnetConfig, Fence, DeployOrder, AgentDeployBody, AgentMutateBody, AgentTeardownBody
 *
 * What an agent says back is in agent-report.ts. Workflow code must not bundle zod. It imports
 * these types through config.ts and agent-wire.ts, which are without it.
 */
import { z } from 'zod';
import { DEFAULT_BUILD_BASE } from './catalog.ts';
import { DURATIONS, type DurationName } from './durations.ts';

/**
 * What was parsed is not changed. JSON has no `undefined`: an optional key is there with a value,
 * or absent.
 */
export type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<Exclude<T[Key], undefined>> }
    : T;

/**
 * DECNET's sentence. Zod says the same of a text as of a fraction, so that schemas of integers
 * carry it.
 */
export const NO_INTEGER = 'Input should be a valid integer';
const integer = z.int(NO_INTEGER);

/** By service: the settings of its sub-section in the INI. */
const ServiceConfig = z.record(z.string(), z.record(z.string(), z.unknown()));

/**
 * DECNET's model of a decky (docs/configuration.md#models), field for field as it is stored, sent
 * and answered.
 */
export const DeckyConfig = z.object({
  name: z.string(),
  ip: z.string(),
  services: z.array(z.string()),
  distro: z.string(),
  base_image: z.string(),
  build_base: z.string(),
  hostname: z.string(),
  archetype: z.string().nullable(),
  service_config: ServiceConfig,
  nmap_os: z.string(),
  /** null: the inherited interval. */
  mutate_interval: integer.nullable().describe('minutes'),
  /** Epoch seconds. */
  last_mutated: z.number(),
  last_login_attempt: z.number(),
  host_uuid: z.string().nullable(),
});
export type DeckyConfig = Immutable<z.infer<typeof DeckyConfig>>;

/** A decky as it comes from others: unknown keys are refused, and defaults are filled in. */
export const StrictDeckyConfig = z.strictObject({
  ...DeckyConfig.shape,
  services: DeckyConfig.shape.services.min(1),
  build_base: DeckyConfig.shape.build_base.default(DEFAULT_BUILD_BASE),
  archetype: DeckyConfig.shape.archetype.default(null),
  service_config: ServiceConfig.default({}),
  nmap_os: DeckyConfig.shape.nmap_os.default('linux'),
  mutate_interval: DeckyConfig.shape.mutate_interval.default(null),
  last_mutated: DeckyConfig.shape.last_mutated.default(0),
  last_login_attempt: DeckyConfig.shape.last_login_attempt.default(0),
  host_uuid: DeckyConfig.shape.host_uuid.default(null),
});

/**
 * A `[custom-x]` section: a service of the operator's own. Stands beside DeckyConfig, which refuses
 * unknown keys.
 */
export const CustomService = z.object({
  name: z.string(),
  image: z.string(),
  /** Split on white space into the container's command; empty: the image's own. */
  exec_cmd: z.string(),
  ports: z.array(integer),
});
export type CustomService = Immutable<z.infer<typeof CustomService>>;

/** A decky as it should be, with the custom services that it names. */
export const DesiredDecky = z.object({
  config: DeckyConfig,
  custom_services: z.array(CustomService),
  /** An operator stopped it. */
  stopped: z.boolean().optional(),
});
export type DesiredDecky = Immutable<z.infer<typeof DesiredDecky>>;

/** DECNET's root document (docs/configuration.md#models). */
export const DecnetConfig = z.object({
  mode: z.enum(['unihost', 'swarm']),
  interface: z.string(),
  subnet: z.string(),
  gateway: z.string(),
  deckies: z.array(DeckyConfig),
  log_file: z.string().nullable(),
  ipvlan: z.boolean(),
  /** Minutes. */
  mutate_interval: integer.nullable(),
});
export type DecnetConfig = Immutable<z.infer<typeof DecnetConfig>>;

/** The root document as it comes from others: lax itself, with strict deckies. */
export const ReceivedDecnetConfig = DecnetConfig.extend({
  deckies: z.array(StrictDeckyConfig).min(1),
  log_file: DecnetConfig.shape.log_file.default(null),
  ipvlan: DecnetConfig.shape.ipvlan.default(false),
  mutate_interval: DecnetConfig.shape.mutate_interval.default(30),
});

/** Which attempt of which operation an order or a report belongs to. */
export const Fence = z.object({
  /** The deployment's id; for a mutation or a teardown of one decky its lifecycle id. */
  operation_id: z.string().min(1).max(200),
  /**
   * From 1; grows when the master decides to dispatch anew, not when it repeats a send whose answer
   * was lost.
   */
  attempt: integer.min(1),
});
export type Fence = Immutable<z.infer<typeof Fence>>;

/** Of an order. */
export const OrderFence = Fence.extend({
  /**
   * The operation's number in the lane of the host, which grows with acceptance. An agent refuses
   * an order with a lower one than it has accepted: that order is of an operation before, and comes
   * late. Absent: attempts alone are compared.
   */
  ticket: integer.min(0).optional(),
});
export type OrderFence = Immutable<z.infer<typeof OrderFence>>;

/**
 * As the master takes them from its operators, so that no order which it accepts is refused by an
 * agent.
 */
const milliseconds = (name: DurationName) => z.number().min(DURATIONS[name].least).max(DURATIONS[name].most);

/** What a deploy order says beyond DECNET's. */
export const DeployOrder = OrderFence.extend({
  min_healthy_time_ms: milliseconds('min_healthy_time'),
  healthy_deadline_ms: milliseconds('healthy_deadline'),
  progress_deadline_ms: milliseconds('progress_deadline'),
  /**
   * Deckies of the set that the operation is about: the agent reports on these. The others only
   * have to stay as they are.
   */
  deploy: z.array(z.string()),
  /** Deckies that go with this operation; the agent reports on these too. */
  remove: z.array(z.string()),
  /** Deckies of the set that an operator stopped: none of their containers is to run. */
  stopped: z.array(z.string()).optional(),
  /** By decky name, where a decky names services of the operator's own. */
  custom_services: z.record(z.string(), z.array(CustomService)),
});
export type DeployOrder = Immutable<z.infer<typeof DeployOrder>>;

/** `POST /deploy`. The set is the host's whole desired set: what is not in it goes. */
export const AgentDeployBody = z.object({
  config: DecnetConfig,
  dry_run: z.boolean(),
  no_cache: z.boolean(),
  deckhand: DeployOrder.optional(),
});
export type AgentDeployBody = Immutable<z.infer<typeof AgentDeployBody>>;

/** `POST /mutate`. */
export const AgentMutateBody = z.object({
  decky_id: z.string(),
  services: z.array(z.string()),
  dry_run: z.boolean(),
  deckhand: DeployOrder.omit({ deploy: true, remove: true, stopped: true }).optional(),
});
export type AgentMutateBody = Immutable<z.infer<typeof AgentMutateBody>>;

/**
 * `POST /teardown`. `decky_id` null: everything goes. Synchronous: the answer comes when it is
 * down.
 */
export const AgentTeardownBody = z.object({
  decky_id: z.string().nullable(),
  deckhand: OrderFence.optional(),
});
export type AgentTeardownBody = Immutable<z.infer<typeof AgentTeardownBody>>;
