/** The agent's configuration, from the environment alone (docs/environment.md). */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { METRICS_VARIABLES, metricsAddress } from '../adapters/metrics/listener.ts';
import { parseSubnet } from '../fleet/addresses.ts';
import { durationVariable } from '../fleet/duration-variable.ts';
import { DURATIONS } from '../fleet/durations.ts';
import { portVariable, readEnvironment } from '../lib/environment.ts';

/** Where `join` writes to and `run` reads from when nobody says otherwise. */
export const DEFAULT_AGENT_DIR = join(homedir(), '.deckhand', 'agent');

const subnetVariable = z.string().refine((text) => {
  try {
    return parseSubnet(text, 'it').prefix <= 30;
  } catch {
    return false;
  }
}, 'must be a subnet such as 10.201.0.0/24');

const schema = z.object({
  DECKHAND_AGENT_DIR: z.string().default(DEFAULT_AGENT_DIR),
  DECKHAND_AGENT_PORT: portVariable.optional(),
  DECKHAND_AGENT_HOST: z.string().default('0.0.0.0'),
  DECKHAND_AGENT_NET: subnetVariable.optional(),
  DECKHAND_AGENT_NETWORK_NAME: z.string().optional(),
  DECKHAND_PROJECT: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]*$/, 'must be a Compose project name: lower case letters, digits, - and _')
    .default('decnet'),
  DECKHAND_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
    .optional(),
  DECKHAND_NETWORK: z
    .enum(['auto', 'macvlan', 'ipvlan', 'bridge'], 'must be auto, macvlan, ipvlan or bridge')
    .default('auto'),
  DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
  DECKHAND_ENGINE: z.enum(['docker', 'simulated'], 'must be docker or simulated').default('docker'),
  DECKHAND_CACHE: z.string().default(join(homedir(), '.cache', 'deckhand')),
  DECKHAND_TEMPLATES: z.string().optional(),
  DECKHAND_IMAGES: z.enum(['builtin', 'catalogue'], 'must be builtin or catalogue').default('builtin'),
  DECKHAND_HEARTBEAT_INTERVAL: durationVariable('heartbeat_interval').default(DURATIONS.heartbeat_interval.usual),
  ...METRICS_VARIABLES,
  DECNET_ARTIFACTS_ROOT: z.string().default('/var/lib/decnet/artifacts'),
});

export type AgentConfig = ReturnType<typeof readAgentConfig>;

/** Throws EnvironmentError with all that is wrong. */
export function readAgentConfig(environment: NodeJS.ProcessEnv = process.env) {
  const env = readEnvironment(schema, environment);
  const directory = resolve(env.DECKHAND_AGENT_DIR);
  return {
    directory,
    stateDirectory: join(directory, 'state'),
    host: env.DECKHAND_AGENT_HOST,
    /** Null: the one that it was enrolled with. */
    port: env.DECKHAND_AGENT_PORT ?? null,
    network: env.DECKHAND_NETWORK,
    net: env.DECKHAND_AGENT_NET ?? null,
    heartbeatMs: env.DECKHAND_HEARTBEAT_INTERVAL,
    metrics: metricsAddress(env),
    engine: {
      engine: env.DECKHAND_ENGINE,
      dockerHost: env.DOCKER_HOST,
      /** Two agents that share an engine and a project need two. */
      instance: env.DECKHAND_INSTANCE ?? directory,
      project: env.DECKHAND_PROJECT,
      ...(env.DECKHAND_AGENT_NETWORK_NAME === undefined ? {} : { networkName: env.DECKHAND_AGENT_NETWORK_NAME }),
      home: join(directory, 'state'),
      cache: env.DECKHAND_CACHE,
      images: env.DECKHAND_IMAGES,
      templates: env.DECKHAND_TEMPLATES ?? null,
      artifactsRoot: env.DECNET_ARTIFACTS_ROOT,
    },
  };
}
