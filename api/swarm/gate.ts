/** Who may use the operator routes of the swarm controller (docs/wire.md#the-swarm-controller): the master itself, or this machine without a certificate. */
import type { MiddlewareHandler } from 'hono';
import { MASTER_NAME, SWARMCTL_NAME } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { ApiEnv } from '../environment.ts';
import { addressOf, isLoopback, peerOf } from './peer.ts';

export const OPERATOR_TEXT = 'operator certificate required';

/** An administrator's token is needed besides. */
export const operatorGate = (ownFingerprints: () => Promise<ReadonlySet<string>>): MiddlewareHandler<ApiEnv> =>
  async function operatorGate(c, next) {
    const peer = peerOf(c);
    const isOurs =
      peer === null
        ? isLoopback(addressOf(c))
        : [MASTER_NAME, SWARMCTL_NAME].includes(peer.commonName) && (await ownFingerprints()).has(peer.fingerprint);
    if (!isOurs) throw new DeckhandError('Forbidden', OPERATOR_TEXT);
    await next();
  };
