/** Two authorities, a master and the host h1 of one of them, and clients that call agents as that master. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentAddress, type AgentClient, createAgentClient } from '../../../adapters/agent/client.ts';
import { type Authority, type Identity, openAuthority } from '../../../adapters/pki/authority.ts';
import type { AgentDeployBody } from '../../../fleet/agent-wire.ts';

export const order: AgentDeployBody = {
  config: {
    mode: 'swarm',
    interface: 'eth0',
    subnet: '192.0.2.0/24',
    gateway: '192.0.2.1',
    deckies: [],
    log_file: null,
    ipvlan: false,
    mutate_interval: null,
  },
  dry_run: false,
  no_cache: false,
};

/** For the `describe` that asks for it; what was made with `owned` or `client` is closed after each test. */
export function agentCalls() {
  let root: string;
  let ours: Authority;
  let foreign: Authority;
  let master: Identity;
  let h1: Identity;
  const open: { close(): Promise<unknown> }[] = [];
  const owned = <T extends { close(): Promise<unknown> }>(thing: T): T => {
    open.push(thing);
    return thing;
  };

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'deckhand-agent-client-'));
    [ours, foreign] = await Promise.all([openAuthority(join(root, 'ours')), openAuthority(join(root, 'foreign'))]);
    [master, h1] = await Promise.all([ours.master(), ours.issue({ name: 'h1', sans: ['127.0.0.1'] })]);
  });
  afterEach(() => Promise.all(open.splice(0).map((thing) => thing.close())));
  after(() => rm(root, { recursive: true, force: true }));

  return {
    /** A directory that goes with the tests. */
    get root() {
      return root;
    },
    get ours() {
      return ours;
    },
    get foreign() {
      return foreign;
    },
    get master() {
      return master;
    },
    get h1() {
      return h1;
    },
    owned,
    client: (identity: () => Promise<Identity> = async () => master, options = {}): AgentClient =>
      owned(createAgentClient(identity, options)),
    at: (agent: { port: number }, more: Partial<AgentAddress> = {}): AgentAddress => ({
      hostUuid: 'u1',
      name: 'h1',
      address: '127.0.0.1',
      port: agent.port,
      fingerprints: [h1.fingerprint],
      ...more,
    }),
  };
}
