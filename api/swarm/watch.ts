/** What the swarm controller sees to by time: hosts that are silent, and a master whose certificate was renewed. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Authority } from '../../adapters/pki/authority.ts';
import type { Sql } from '../../adapters/postgres/connect.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { rememberMaster } from '../../adapters/postgres/master-pin.ts';
import { HEARTBEAT_INTERVAL_S } from '../../fleet/agent-wire.ts';
import type { Logger } from '../../lib/logger.ts';

/** Hosts that miss three heartbeats are `unreachable`. */
export const SILENT_AFTER_MS = 3 * HEARTBEAT_INTERVAL_S * 1000;
const TURN_MS = 10_000;

export interface WatchParts {
  readonly sql: Sql;
  readonly authority: Authority;
  readonly logger: Logger;
  readonly notReady: () => string | null;
}

/** Looks every ten seconds until `signal` is aborted; resolves then. */
export async function watchHosts({ sql, authority, logger, notReady }: WatchParts, signal: AbortSignal): Promise<void> {
  const hosts = createHostStore(sql);
  let pin: string | null = null;
  const turn = async (): Promise<void> => {
    for (const host of await hosts.silentSince(SILENT_AFTER_MS))
      logger.warn({ host: host.name, last_heartbeat: host.lastHeartbeat }, 'host is silent');
    const { fingerprint } = await authority.master();
    if (fingerprint === pin) return;
    if (await rememberMaster(sql, fingerprint))
      logger.info('the master’s certificate is new: all hosts are asked to renew');
    pin = fingerprint;
  };
  while (!signal.aborted) {
    if (notReady() === null)
      await turn().catch((error: unknown) => logger.warn({ err: error }, 'can’t tell which hosts are silent'));
    await pause(TURN_MS, undefined, { signal }).catch(() => undefined);
  }
}
