/** The worker's configuration, from the environment alone (docs/environment.md). */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { METRICS_VARIABLES, metricsAddress } from '../adapters/metrics/listener.ts';
import { durationVariable } from '../fleet/duration-variable.ts';
import { DURATIONS } from '../fleet/durations.ts';
import { DEFAULT_TASK_QUEUE } from '../fleet/housekeeping.ts';
import { booleanVariable, readEnvironment } from '../lib/environment.ts';

const schema = z.object({
  DATABASE_URL: z.string('is needed: the address of PostgreSQL'),
  DECKHAND_DB_SCHEMA: z.string().default('public'),
  NATS_URL: z.string().default('nats://127.0.0.1:4222'),
  DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
  DECKHAND_ENGINE: z.enum(['docker', 'simulated'], 'must be docker or simulated').default('docker'),
  DECKHAND_HOME: z.string().default('.deckhand'),
  DECKHAND_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
    .optional(),
  DECKHAND_PROJECT: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]*$/, 'must be a Compose project name: lower case letters, digits, - and _')
    .default('decnet'),
  DECKHAND_IMAGES: z.enum(['builtin', 'catalogue'], 'must be builtin or catalogue').default('builtin'),
  DECKHAND_TEMPLATES: z.string().optional(),
  DECKHAND_TASK_QUEUE: z.string().default(DEFAULT_TASK_QUEUE),
  DECKHAND_CACHE: z.string().default(join(homedir(), '.cache', 'deckhand')),
  DECKHAND_CA_DIR: z.string().optional(),
  DECKHAND_VERIFY_HOSTNAME: booleanVariable.default(true),
  DECKHAND_REPORT_GRACE: durationVariable('report_grace').default(DURATIONS.report_grace.usual),
  DECKHAND_LOOK_INTERVAL: durationVariable('look_interval').default(DURATIONS.look_interval.usual),
  ...METRICS_VARIABLES,
  DECNET_ARTIFACTS_ROOT: z.string().default('/var/lib/decnet/artifacts'),
});

export type WorkerConfig = ReturnType<typeof readWorkerConfig>;

/** Throws EnvironmentError with all that is wrong. */
export function readWorkerConfig(environment: NodeJS.ProcessEnv = process.env) {
  const env = readEnvironment(schema, environment);
  const home = resolve(env.DECKHAND_HOME);
  return {
    databaseUrl: env.DATABASE_URL,
    schema: env.DECKHAND_DB_SCHEMA,
    natsUrl: env.NATS_URL,
    dockerHost: env.DOCKER_HOST,
    engine: env.DECKHAND_ENGINE,
    home,
    /** Two installations that share an engine need two ids; the stack remembers one for each DECKHAND_HOME. */
    instance: env.DECKHAND_INSTANCE ?? home,
    project: env.DECKHAND_PROJECT,
    images: env.DECKHAND_IMAGES,
    templates: env.DECKHAND_TEMPLATES ?? null,
    taskQueue: env.DECKHAND_TASK_QUEUE,
    cache: env.DECKHAND_CACHE,
    caDir: resolve(env.DECKHAND_CA_DIR ?? join(home, 'ca')),
    verifyHostname: env.DECKHAND_VERIFY_HOSTNAME,
    /** How long after a dispatch a report of an agent without fences may still be under way (docs/differences.md#agents). */
    reportGraceMs: env.DECKHAND_REPORT_GRACE,
    /** How often the master's own engine is compared with what should run. */
    lookMs: env.DECKHAND_LOOK_INTERVAL,
    metrics: metricsAddress(env),
    artifactsRoot: env.DECNET_ARTIFACTS_ROOT,
  };
}
