/** Shapes that several routes share. */
import { z } from '@hono/zod-openapi';
import { DRIFT } from '../fleet/drift.ts';
import * as rows from '../fleet/rows.ts';
import { DeckyConfig } from '../fleet/wire.ts';

/** PostgreSQL's text holds no NUL, and UTF-8 no half of a surrogate pair. */
const storable = (text: string): boolean => !/[\0\p{Surrogate}]/u.test(text);

export const Username = z.string().min(1).max(64).refine(storable).openapi({ example: 'vera' });

/** A password as typed at login. */
export const Password = z.string().max(72).openapi({ format: 'password' });

/**
 * One to be: 12 to 72 characters, at most 72 bytes (bcrypt's limit, kept so that users can move
 * between the two).
 */
export const NewPassword = z
  .string()
  .min(12)
  .max(72)
  .refine((text) => Buffer.byteLength(text) <= 72)
  .openapi({ format: 'password', example: 'correct-horse-battery' });

export const UserRole = z.enum(['admin', 'viewer']);

export const UserView = z
  .object({ uuid: z.string(), username: z.string(), role: UserRole, must_change_password: z.boolean() })
  .openapi('User');

export const DeckyName = z
  .string()
  .regex(/^[A-Za-z0-9\-_.]{1,128}$/)
  .openapi({ example: 'web-01' });

const time = z.string().openapi({ format: 'date-time', example: '2026-11-23T19:00:37.601031Z' });

/**
 * Of the shapes in fleet/rows.ts and fleet/wire.ts. `extend` makes schemas that know OpenAPI: those
 * may be older than its import.
 */
export const Row = rows.LifecycleRow.extend({}).openapi('LifecycleRow');

export const DeckyConfigView = DeckyConfig.extend({}).openapi('DeckyConfig');

export const Deployment = rows.Deployment.extend({}).openapi('Deployment');

export const DeploymentDetailView = rows.DeploymentDetail.extend({}).openapi('DeploymentDetail');

const DriftReasonView = z.enum(Object.values(DRIFT)).openapi('DriftReason');

export const DriftView = z
  .object({
    decky_name: z.string(),
    host_uuid: z.string().nullable().openapi({ description: 'null: the master’s own engine' }),
    host_name: z.string().nullable(),
    reason: DriftReasonView,
    detail: z.string(),
    since: time,
  })
  .openapi('Drift');

export const UnknownView = z
  .object({
    host_uuid: z.string().nullable(),
    host_name: z.string().nullable(),
    why: z.string(),
    since: time.nullable().openapi({ description: 'null: nothing was ever heard of it' }),
    deckies: z.number(),
  })
  .openapi('SilentEngine');

export const MendableView = z
  .object({
    decky_name: z.string(),
    host_uuid: z.string().nullable(),
    action: z.enum(['deploy', 'teardown']).openapi({ description: 'teardown: nobody wants its containers' }),
    reasons: z.array(DriftReasonView),
  })
  .openapi('Mending');

export const Fleet = z
  .object({
    network: z
      .object({ driver: z.string(), interface: z.string(), subnet: z.string(), gateway: z.string() })
      .nullable(),
    simulated: z.boolean().nullable().openapi({ description: 'true: no containers, the engine is simulated' }),
    deckies: z.array(rows.FleetDecky.extend({ drift: z.array(DriftReasonView) })),
  })
  .openapi('Fleet');
