/**
 * Enrolling hosts. Ours: an operator names a host, and gets one command that makes it join.
 * DECNET's: a bundle, by its token.
 */
import { randomUUID } from 'node:crypto';
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import {
  BUNDLE_NAME_PATTERN,
  HOST_ADDRESS_PATTERN,
  HOST_NAME_PATTERN,
  refuseReservedNames,
} from '../../fleet/hosts.ts';
import { FailureLimit } from '../auth.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { TooManyAttempts } from '../errors.ts';
import { json, PREFIX, refusals, tooManyAttempts, unsupportedMediaType } from '../openapi.ts';
import { addressOf, isLoopback, overTls } from '../peer.ts';
import { bootstrapScript } from '../swarm/bundles.ts';
import { isoTime } from '../swarm/orders.ts';

const Address = z.string().regex(HOST_ADDRESS_PATTERN).openapi({ example: '192.0.2.7' });

const EnrollmentBody = z.strictObject({
  name: z.string().regex(HOST_NAME_PATTERN).openapi({ example: 'rack4-1' }),
  address: Address,
  agent_port: z.number().int().min(1).max(65_535).default(AGENT_PORT),
  sans: z.array(Address).max(100).default([]).openapi({ description: 'further names and addresses of the host' }),
  notes: z
    .string()
    .max(2_000)
    .refine((text) => !text.includes('\0'))
    .nullable()
    .default(null),
  use_ipvlan: z.boolean().default(false),
});

const createEnrollment = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/swarm/enrollments`,
    tags: ['swarm'],
    summary: 'A one-shot token for a new host',
    request: {
      body: { required: true, content: json(EnrollmentBody, { name: 'rack4-1', address: '192.0.2.7' }) },
    },
    responses: {
      201: {
        description: 'The token, told once; the host is enrolled when it joins.',
        content: json(
          z.object({
            host_uuid: z.string(),
            token: z.string(),
            command: z.string().openapi({ description: 'one line, to be run on the host' }),
            expires_at: z.string(),
            ca_fingerprint: z.string(),
          }),
          {
            host_uuid: '2c216c01-9ea6-576c-8474-bcf667779d4d',
            token: 'mJ0oV0m8k1cD2xkq0y8mE9Yk8oJ3t7m0',
            command:
              'npx deckhand agent join https://192.0.2.1:8770 --token mJ0oV0m8k1cD2xkq0y8mE9Yk8oJ3t7m0 --ca-fingerprint 9f86d0…',
            expires_at: '2026-11-23T19:15:37.601000Z',
            ca_fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
          },
        ),
      },
      ...refusals(400, 401, 403, 409, 422),
      ...unsupportedMediaType,
    },
  });

const controllerUrlOf = ({ name, port }: { name: string; port: number }): string =>
  `https://${name.includes(':') ? `[${name}]` : name}:${port}`;

export const addSwarmEnrollmentRoutes: AddRoutes = (app, deps) => {
  const { swarm } = deps;
  if (swarm === undefined) return;
  app.openapi(createEnrollment(deps), async (c) => {
    const body = c.req.valid('json');
    refuseReservedNames(body);
    if (await swarm.hosts.byName(body.name))
      throw new DeckhandError('HostExists', `Worker '${body.name}' is already enrolled`);
    const hostUuid = randomUUID();
    const { token, expiresAt } = await swarm.tokens.create({
      hostUuid,
      name: body.name,
      address: body.address,
      agentPort: body.agent_port,
      sans: body.sans,
      notes: body.notes,
      useIpvlan: body.use_ipvlan,
    });
    const { fingerprint } = swarm.authority;
    const port = body.agent_port === AGENT_PORT ? '' : ` --port ${body.agent_port}`;
    return c.json(
      {
        host_uuid: hostUuid,
        token,
        command: `npx deckhand agent join ${controllerUrlOf(swarm.controller)} --token ${token} --ca-fingerprint ${fingerprint}${port}`,
        expires_at: isoTime(expiresAt),
        ca_fingerprint: fingerprint,
      },
      201,
    );
  });
};

/**
 * DECNET's enrolment by bundle (docs/wire.md#bundles). A bundle carries a private key: over plain
 * HTTP it stays on this machine.
 */

const BUNDLES_PER_MINUTE = { failures: 10, windowMs: 60_000 };
const PATH = `${PREFIX}/swarm/enroll-bundle`;

const BundleBody = z.object({
  master_host: z.string().regex(HOST_ADDRESS_PATTERN).openapi({ example: '192.0.2.1' }),
  agent_name: z.string().regex(BUNDLE_NAME_PATTERN).openapi({ example: 'rack4-1' }),
  with_updater: z.boolean().default(true),
  use_ipvlan: z.boolean().default(false),
  services_ini: z.string().max(65_536).nullable().default(null),
});

const createBundle = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: PATH,
    tags: ['swarm'],
    summary: 'Enrol a host with an agent of DECNET: one command to be run on it',
    request: {
      body: { required: true, content: json(BundleBody, { master_host: '192.0.2.1', agent_name: 'rack4-1' }) },
    },
    responses: {
      201: {
        description: 'Good for five minutes, once.',
        content: json(
          z.object({ token: z.string(), command: z.string(), expires_at: z.string(), host_uuid: z.string() }),
          {
            token: 'mJ0oV0m8k1cD2xkq0y8mE9Yk8oJ3t7m0',
            command: `curl -fsSL http://192.0.2.1:8000${PATH}/mJ0oV0m8k1cD2xkq0y8mE9Yk8oJ3t7m0.sh | sudo sh`,
            expires_at: '2026-11-23T19:05:37.601000Z',
            host_uuid: '2c216c01-9ea6-576c-8474-bcf667779d4d',
          },
        ),
      },
      ...refusals(400, 401, 403, 409, 422),
      ...unsupportedMediaType,
      ...tooManyAttempts,
    },
  });

/** Described only: the pattern of its path is none that OpenAPI knows. */
const FETCH: RouteConfig = {
  method: 'get',
  path: `${PATH}/{file}`,
  tags: ['swarm'],
  summary: 'The script of a bundle, and the bundle; by its token alone',
  request: { params: z.object({ file: z.string().openapi({ example: 'mJ0oV0m8k1cD2xkq0y8mE9Yk8oJ3t7m0.sh' }) }) },
  responses: {
    200: {
      description: '`.sh`: a script that fetches `.tgz`, which can be had once.',
      content: {
        'text/x-shellscript': { schema: z.string(), example: '#!/bin/sh\n' },
        'application/gzip': { schema: z.string().openapi({ format: 'binary' }), example: 'a tar archive' },
      },
    },
    ...refusals(403, 404),
  },
};

const notFound = (): DeckhandError => new DeckhandError('NotFound', 'The bundle is unknown, expired or was fetched.');

export const addSwarmBundleRoutes: AddRoutes = (app, deps) => {
  const { swarm } = deps;
  if (swarm === undefined) return;
  const limit = new FailureLimit(BUNDLES_PER_MINUTE);

  const refusePlain = (c: Context<ApiEnv>): void => {
    if (swarm.plainBundles || c.env?.incoming === undefined || overTls(c) || isLoopback(addressOf(c))) return;
    throw new DeckhandError(
      'Forbidden',
      'A bundle carries a private key, and this is plain HTTP from another machine. Use `deckhand host enroll`, or allow it by DECKHAND_PLAIN_BUNDLES=true.',
    );
  };

  app.openapi(createBundle(deps), async (c) => {
    refusePlain(c);
    const wait = limit.retryAfterSeconds([c.var.user.uuid]);
    if (wait !== null) throw new TooManyAttempts('Too many bundles; ten a minute are made.', wait);
    limit.recordFailure([c.var.user.uuid]);
    const body = c.req.valid('json');
    const { token, hostUuid, expiresAt } = await swarm.bundles.create({
      masterHost: body.master_host,
      agentName: body.agent_name,
      withUpdater: body.with_updater,
      useIpvlan: body.use_ipvlan,
      servicesIni: body.services_ini,
    });
    const command = `curl -fsSL ${bundleUrlOf(c, body.master_host)}/${token}.sh | sudo sh`;
    return c.json({ token, command, expires_at: isoTime(expiresAt), host_uuid: hostUuid }, 201);
  });

  app.openAPIRegistry.registerPath(FETCH);
  app.get(`${PATH}/:file{[\\w-]+\\.(sh|tgz)}`, async (c) => {
    refusePlain(c);
    const [token = '', kind] = c.req.param('file').split('.');
    const bundle = await swarm.bundles.find(token);
    if (bundle === null) throw notFound();
    if (kind === 'sh')
      return c.body(bootstrapScript(`${bundleUrlOf(c, bundle.masterHost)}/${token}.tgz`), 200, {
        'content-type': 'text/x-shellscript',
      });
    const tarball = await swarm.bundles.take(token, addressOf(c) ?? '127.0.0.1');
    if (tarball === null) throw notFound();
    return c.body(new Uint8Array(tarball), 200, { 'content-type': 'application/gzip' });
  });
};

/**
 * As the client reached us, but by the name that hosts know the master by. A proxy on this machine
 * may say that it was asked over TLS: then the address is its own. Nobody else is believed.
 */
function bundleUrlOf(c: Context<ApiEnv>, masterHost: string): string {
  const { protocol: spoken, port } = new URL(c.req.url);
  const forwarded = isLoopback(addressOf(c)) && c.req.header('x-forwarded-proto') === 'https';
  const protocol = overTls(c) || forwarded ? 'https:' : spoken;
  const host = masterHost.includes(':') ? `[${masterHost}]` : masterHost;
  return `${protocol}//${host}${port === '' ? '' : `:${port}`}${PATH}`;
}
