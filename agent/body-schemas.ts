/**
 * The bodies that the agent takes: the schemas of the wire with what an agent refuses, and the
 * defaults of DECNET's models.
 */
import { z } from 'zod';
import { assertDeckyName } from '../fleet/names.ts';
import {
  AgentDeployBody,
  AgentMutateBody,
  AgentTeardownBody,
  DeployOrder,
  ReceivedDecnetConfig,
  StrictDeckyConfig,
} from '../fleet/wire.ts';

/** A name that no decky can have never becomes a file, a container or a key. */
const deckyName = z.string().refine((name) => {
  try {
    assertDeckyName(name);
    return true;
  } catch {
    return false;
  }
}, 'no decky can have this name');

const config = ReceivedDecnetConfig.extend({
  deckies: z
    .array(StrictDeckyConfig.extend({ name: deckyName }))
    .min(1)
    .refine((deckies) => new Set(deckies.map(({ name }) => name)).size === deckies.length, 'a name stands there twice'),
});
const custom_services = DeployOrder.shape.custom_services.default({});

export const deployBody = AgentDeployBody.extend({
  config,
  dry_run: z.boolean().default(false),
  no_cache: z.boolean().default(false),
  deckhand: DeployOrder.extend({ stopped: z.array(z.string()).default([]), custom_services }).optional(),
});

export const mutateBody = AgentMutateBody.extend({
  dry_run: z.boolean().default(false),
  deckhand: AgentMutateBody.shape.deckhand.unwrap().extend({ custom_services }).optional(),
});

export const teardownBody = AgentTeardownBody.extend({ decky_id: z.string().nullable().default(null) });

export type DeployBody = z.infer<typeof deployBody>;
export type MutateBody = z.infer<typeof mutateBody>;
export type TeardownBody = z.infer<typeof teardownBody>;
