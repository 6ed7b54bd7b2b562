/** Our own enrolment: an operator names a host, and gets one command that makes it join. */
import { randomUUID } from 'node:crypto';
import { createRoute, z } from '@hono/zod-openapi';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { HOST_ADDRESS_PATTERN, HOST_NAME_PATTERN, refuseReservedNames } from '../../fleet/hosts.ts';
import { json, PREFIX, refusals, unsupportedMediaType } from '../openapi.ts';
import { isoTime } from '../swarm/views.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';

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

const create = (deps: RouteDependencies) =>
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

const urlOf = ({ name, port }: { name: string; port: number }): string =>
  `https://${name.includes(':') ? `[${name}]` : name}:${port}`;

export const addSwarmEnrollmentRoutes: AddRoutes = (app, deps) => {
  const { swarm } = deps;
  if (swarm === undefined) return;
  app.openapi(create(deps), async (c) => {
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
        command: `npx deckhand agent join ${urlOf(swarm.controller)} --token ${token} --ca-fingerprint ${fingerprint}${port}`,
        expires_at: isoTime(expiresAt),
        ca_fingerprint: fingerprint,
      },
      201,
    );
  });
};
