/**
 * How hosts get their certificates: DECNET's enrolment, our own by token and signing request, and
 * renewal.
 */
import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { z } from 'zod';
import type { Identity } from '../../adapters/pki/authority.ts';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { refuseReservedNames } from '../../fleet/hosts.ts';
import type { ControllerDependencies } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { peerOf } from '../peer.ts';
import { TEXT } from './heartbeat.ts';
import { parseBody } from './unprocessable.ts';

/**
 * The patterns to the letter, since answers name them; the bounds of length are their own
 * (docs/wire.md#enrolment).
 */
const NAME = '^[A-Za-z0-9][A-Za-z0-9._\\-]*$';
const ADDRESS = '^[A-Za-z0-9][A-Za-z0-9._:\\-]*$';
const name = z.string().min(1).max(64).regex(new RegExp(NAME));
const address = z.string().min(1).max(253).regex(new RegExp(ADDRESS));

const EnrollBody = z.object({
  name,
  address,
  agent_port: z.int().min(1).max(65_535).default(AGENT_PORT),
  sans: z.array(address).max(100).default([]),
  notes: z
    .string()
    .refine((text) => !text.includes('\0'))
    .nullable()
    .default(null),
  issue_updater_bundle: z.boolean().default(false),
});
const JoinBody = z.object({ token: z.string().min(1).max(200), csr_pem: z.string().min(1).max(16_384) });
const RenewBody = JoinBody.pick({ csr_pem: true });

const updaterView = (identity: Identity) => ({
  fingerprint: identity.fingerprint,
  updater_cert_pem: identity.certPem,
  updater_key_pem: identity.keyPem,
});

/** `POST /swarm/enroll`: the key is made here and told once; no copy is kept. */
export const enroll = ({ authority, hosts }: ControllerDependencies) =>
  async function enroll(c: Context<ApiEnv>): Promise<Response> {
    const body = await parseBody(c, EnrollBody);
    refuseReservedNames(body);
    if (await hosts.byName(body.name))
      throw new DeckhandError('HostExists', `Worker '${body.name}' is already enrolled`);
    const sans = [...new Set([...body.sans, body.address, body.name])];
    const identity = await authority.issue({ name: body.name, sans });
    const updater = body.issue_updater_bundle ? await authority.issue({ name: `updater@${body.name}`, sans }) : null;
    const host = await hosts.enroll({
      uuid: randomUUID(),
      name: body.name,
      address: body.address,
      agentPort: body.agent_port,
      notes: body.notes,
      useIpvlan: false,
      fingerprint: identity.fingerprint,
      certNotAfter: identity.notAfter,
      fenced: false,
      updaterFingerprint: updater?.fingerprint ?? null,
    });
    const answer = {
      host_uuid: host.uuid,
      name: host.name,
      address: host.address,
      agent_port: host.agentPort,
      fingerprint: identity.fingerprint,
      ca_cert_pem: identity.caPem,
      worker_cert_pem: identity.certPem,
      worker_key_pem: identity.keyPem,
      updater: updater && updaterView(updater),
    };
    return c.json(answer, 201);
  };

/**
 * `POST /swarm/join`: a token that an operator made, and a signing request: the key stays with the
 * host.
 */
export const join = ({ authority, enrollments }: ControllerDependencies) =>
  async function join(c: Context<ApiEnv>): Promise<Response> {
    const { token, csr_pem } = await parseBody(c, JoinBody);
    const { host, certificate } = await enrollments.join(token, ({ name, address, sans }) =>
      authority.sign(csr_pem, { name, sans: [...new Set([...sans, address, name])] }),
    );
    return c.json({
      host_uuid: host.uuid,
      name: host.name,
      agent_port: host.agentPort,
      worker_cert_pem: certificate.certPem,
      ca_cert_pem: certificate.caPem,
      master_fingerprint: (await authority.master()).fingerprint,
    });
  };

/**
 * `POST /swarm/renew`, for the bearer of a certificate that counts; it goes on counting until the
 * new one is seen in use.
 */
export const renew = ({ authority, hosts, logger }: ControllerDependencies) =>
  async function renew(c: Context<ApiEnv>): Promise<Response> {
    const { csr_pem } = await parseBody(c, RenewBody);
    const peer = peerOf(c);
    if (peer === null) throw new DeckhandError('Forbidden', TEXT.noCertificate);
    const host = await hosts.byFingerprint(peer.fingerprint);
    if (host === null) throw new DeckhandError('Forbidden', TEXT.otherCertificate);
    if (peer.fingerprint === host.nextFingerprint) await hosts.adoptCertificate(host.uuid, peer.fingerprint);
    const sans = [...new Set([...peer.sans, host.address, host.name])].filter((san) => san !== '');
    const certificate = await authority.sign(csr_pem, { name: host.name, sans });
    if (!(await hosts.certificateIssued(host.uuid, certificate.fingerprint, certificate.notAfter)))
      throw new DeckhandError('Forbidden', TEXT.otherCertificate);
    logger.info({ host: host.uuid, until: certificate.notAfter }, 'certificate renewed');
    return c.json({
      worker_cert_pem: certificate.certPem,
      ca_cert_pem: certificate.caPem,
      master_fingerprint: (await authority.master()).fingerprint,
    });
  };
