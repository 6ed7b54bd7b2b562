/** The API's configuration, read from the environment in this one place (docs/environment.md). */
import { z } from 'zod';
import { SWARM_PORT } from '../fleet/agent-wire.ts';
import { NETWORK_DRIVER, type NetworkDriver } from '../fleet/config.ts';
import { durationVariable } from '../fleet/duration-variable.ts';
import { intervalProblem } from '../fleet/durations.ts';
import { HOST_ADDRESS_PATTERN } from '../fleet/hosts.ts';
import { DEFAULT_TASK_QUEUE } from '../fleet/housekeeping.ts';
import { LIMITS, type RolloutOptions, unmeetable } from '../fleet/limits.ts';
import { booleanVariable, portVariable } from '../lib/environment.ts';
import { MAX_CONNECTIONS } from './server.ts';

const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];

export const apiVariables = z
  .object({
    /** PostgreSQL, as postgres://user:password@host:port/database. */
    DATABASE_URL: z.url({
      protocol: /^postgres(ql)?$/,
      error: 'is needed: postgres://user:password@host:port/database',
    }),
    /** The event bus; `/events` reads from it. */
    NATS_URL: z.string().default('nats://127.0.0.1:4222'),
    /** Schema of the tables; one per installation. */
    DECKHAND_DB_SCHEMA: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be a PostgreSQL name: lower case letters, digits, _')
      .default('public'),
    /**
     * Where the API listens. Plain HTTP without a certificate: anything but loopback then belongs
     * behind a proxy that speaks TLS.
     */
    DECKHAND_API_HOST: z.string().default('127.0.0.1'),
    DECKHAND_API_PORT: portVariable.default(8000),
    /** Files in PEM; with both, the API speaks TLS. */
    DECKHAND_TLS_CERT: z.string().min(1).optional(),
    DECKHAND_TLS_KEY: z.string().min(1).optional(),
    /** Connections of each listener; more are closed as they come. */
    DECKHAND_MAX_CONNECTIONS: z.coerce.number().int().min(16).max(65_535).default(MAX_CONNECTIONS),
    /**
     * Directory of this instance's state; the API keeps its signing secret there when none is
     * given.
     */
    DECKHAND_HOME: z.string().default('.deckhand'),
    /** Where the swarm controller listens: TLS, for hosts with agents. */
    DECKHAND_SWARM_HOST: z.string().default('127.0.0.1'),
    DECKHAND_SWARM_PORT: portVariable.default(SWARM_PORT),
    /** Name or address under which hosts reach this master; without one, what it listens on. */
    DECKHAND_MASTER_HOST: z.string().regex(HOST_ADDRESS_PATTERN, 'must be an IP address or a DNS name').optional(),
    /**
     * The CA of this installation; the worker needs the same. Without one, `ca` in DECKHAND_HOME.
     */
    DECKHAND_CA_DIR: z.string().optional(),
    /** Whether an agent's certificate has to name the address that it is reached at. */
    DECKHAND_VERIFY_HOSTNAME: booleanVariable.default(true),
    /**
     * Whether DECNET's enrolment bundle, with a private key in it, may be fetched over plain HTTP
     * from elsewhere.
     */
    DECKHAND_PLAIN_BUNDLES: booleanVariable.default(false),
    /** The first admin, made when there are no users at all. */
    DECKHAND_ADMIN_USER: z.string().min(1).max(64).default('admin'),
    /** Without one, a password is made up and printed once. */
    DECKHAND_ADMIN_PASSWORD: z
      .string()
      .min(12, 'must have 12 characters or more')
      .refine((text) => Buffer.byteLength(text) <= 72, 'must have 72 bytes or less')
      .optional(),
    /** Whether the first admin has to change the password at the first login. */
    DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: booleanVariable.default(true),
    /** Largest fleet, until an admin sets another limit. Counts at the first start only. */
    DECKHAND_DEPLOYMENT_LIMIT: z.coerce
      .number()
      .int()
      .min(1)
      .max(LIMITS.deploymentLimitMax)
      .default(LIMITS.deploymentLimit),
    /**
     * Signs access tokens. Without one, a secret is made up and kept in
     * DECKHAND_HOME/api-secrets.json.
     */
    DECKHAND_JWT_SECRET: z.string().min(32, 'must have 32 characters or more').optional(),
    /** Lifetime of an access token, in minutes. */
    DECKHAND_JWT_EXP_MINUTES: z.coerce.number().int().min(1).max(525_600).default(240),
    /** Limit of wrong passwords. Switched off only on loopback. */
    DECKHAND_LIMITER_ENABLED: booleanVariable.default(true),
    /** Origins, separated by commas, from which browsers may call the API; `*` is refused. */
    DECKHAND_CORS_ORIGINS: z
      .string()
      .default('')
      .transform((text) =>
        text
          .split(',')
          .map((origin) => origin.trim())
          .filter(Boolean),
      )
      .refine(
        (origins) => origins.every((origin) => /^https?:\/\/[^/*]+$/.test(origin)),
        'must name origins such as https://console.example, never *',
      ),
    /** Driver of the fleet's network; `auto` is macvlan. */
    DECKHAND_NETWORK: z
      .enum(['auto', ...Object.values(NETWORK_DRIVER)])
      .default('auto')
      .transform((name): NetworkDriver => (name === 'auto' ? NETWORK_DRIVER.macvlan : name)),
    /** Subnet for the driver bridge where the INI names none (CIDR). */
    DECKHAND_BRIDGE_POOL: z.cidrv4().optional(),
    /**
     * How often drift is mended by itself, until an admin sets it. Counts at the first start only.
     */
    DECKHAND_RECONCILE_INTERVAL: z
      .string()
      .transform((text) => (text === 'off' ? null : text))
      .superRefine((text, context) => {
        const problem = text === null ? null : intervalProblem(text);
        if (problem !== null) context.addIssue({ code: 'custom', message: `${problem} Or write off.` });
      })
      .default(null),
    /**
     * Which engine the worker has: for telling people, and simulated deckies have nothing in their
     * way.
     */
    DECKHAND_ENGINE: z.enum(['docker', 'simulated']).optional(),
    /**
     * The worker's engine and how it names what it makes there, as the worker has them: what is in
     * a network's way is read there.
     */
    DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
    DECKHAND_INSTANCE: z.string().optional(),
    DECKHAND_PROJECT: z.string().default('decnet'),
    /** Temporal task queue of the workflows. */
    DECKHAND_TASK_QUEUE: z.string().default(DEFAULT_TASK_QUEUE),
    /** Rollout options for requests that don't set them, named as in Nomad; in milliseconds. */
    DECKHAND_MAX_PARALLEL: z.coerce.number().int().min(1).max(LIMITS.deploymentLimitMax).optional(),
    DECKHAND_MIN_HEALTHY_TIME: durationVariable('min_healthy_time').optional(),
    DECKHAND_HEALTHY_DEADLINE: durationVariable('healthy_deadline').optional(),
    DECKHAND_PROGRESS_DEADLINE: durationVariable('progress_deadline').optional(),
    DECKHAND_HOST_LOST_AFTER: durationVariable('host_lost_after').optional(),
  })
  .superRefine((variables, context) => {
    const { DECKHAND_TLS_CERT: cert, DECKHAND_TLS_KEY: key } = variables;
    if ((cert === undefined) !== (key === undefined))
      context.addIssue({
        code: 'custom',
        path: [cert === undefined ? 'DECKHAND_TLS_CERT' : 'DECKHAND_TLS_KEY'],
        message: 'is missing: a certificate and its key are given together',
      });
    const why = unmeetable(
      { minHealthyTimeMs: variables.DECKHAND_MIN_HEALTHY_TIME, healthyDeadlineMs: variables.DECKHAND_HEALTHY_DEADLINE },
      (name) => `DECKHAND_${name.toUpperCase()}`,
    );
    if (why !== null) context.addIssue({ code: 'custom', path: ['DECKHAND_MIN_HEALTHY_TIME'], message: why });
    if (!variables.DECKHAND_LIMITER_ENABLED && !LOOPBACK.includes(variables.DECKHAND_API_HOST))
      context.addIssue({
        code: 'custom',
        path: ['DECKHAND_LIMITER_ENABLED'],
        message: `may be false on loopback only, and DECKHAND_API_HOST is ${variables.DECKHAND_API_HOST}`,
      });
  });

export type ApiConfig = z.infer<typeof apiVariables>;

/** The rollout options that the environment sets. */
export function rolloutDefaults(config: ApiConfig): Partial<RolloutOptions> {
  const times = [
    ['minHealthyTimeMs', config.DECKHAND_MIN_HEALTHY_TIME],
    ['healthyDeadlineMs', config.DECKHAND_HEALTHY_DEADLINE],
    ['progressDeadlineMs', config.DECKHAND_PROGRESS_DEADLINE],
    ['hostLostAfterMs', config.DECKHAND_HOST_LOST_AFTER],
  ] as const;
  const given = times.filter(([, ms]) => ms !== undefined);
  const parallel = config.DECKHAND_MAX_PARALLEL;
  return { ...(parallel === undefined ? {} : { maxParallel: parallel }), ...Object.fromEntries(given) };
}
