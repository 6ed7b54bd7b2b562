/** Every route of every listener × everybody who could ask; a route without an entry in the table fails, and an entry without a route. */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { pino } from 'pino';
import { type Authority, createSigningRequest, type Identity, openAuthority } from '../../adapters/pki/authority.ts';
import { type AgentServer, createApp as createAgentApp, startServer as startAgentServer } from '../../agent/api.ts';
import {
  AGENT_ACCESS,
  AGENT_PEERS,
  AGENT_ROUTES,
  type AgentPeer,
  OPERATOR_ACCESS,
  OPERATOR_ROUTES,
  OPERATORS,
  type Outcome,
  PEERS,
  type Peer,
  routesOf,
  SWARM_ACCESS,
  SWARM_ROUTES,
} from '../support/master/access-table.ts';
import { ADMIN_PASSWORD, type ApiHarness } from '../support/master/api-harness.ts';
import { createSwarmHarness, type SwarmCall, type SwarmHarness } from '../support/master/swarm-harness.ts';
import { testDirectory } from '../support/stack/stack.ts';

const NOBODY = '00000000-0000-4000-8000-000000000000';

/** Nothing that exists, so that whoever is let in changes nothing. */
const filled = (path: string): string =>
  path
    .replace(/:file\{.*\}$/, 'unknown.sh')
    .replace(/:decky_name/, 'no-such-decky')
    .replace(/\/stream$/, '/stream?maxOutput=0')
    .replace(/:\w+/g, NOBODY);

const outcomeOf = (status: number): Outcome => (status === 401 || status === 403 ? status : 'in');

describe('who may use what', function () {
  this.timeout(120_000);
  let swarm: SwarmHarness;
  let api: ApiHarness;
  let newcomer: string;
  let viewer: string;
  let foreign: Authority;

  before(async () => {
    swarm = await createSwarmHarness();
    api = swarm.api;
    foreign = await openAuthority(testDirectory('matrix-foreign'));
    viewer = await api.viewer();
    const body = { username: 'nina', password: 'newcomer-password-1', role: 'admin' };
    await api.call('POST', '/api/v1/config/users', { token: swarm.admin, body });
    newcomer = await api.login('nina', 'newcomer-password-1');
  });
  after(() => swarm?.close());

  /** A token of its own where using it ends it. */
  async function tokenOf(operator: (typeof OPERATORS)[number], path: string): Promise<string | null> {
    if (operator === 'nobody') return null;
    if (!path.endsWith('/auth/logout')) return { newcomer, viewer, admin: swarm.admin }[operator];
    const passwords = { newcomer: ['nina', 'newcomer-password-1'], viewer: ['vera', 'viewer-password-2'] } as const;
    const [name, password] = operator === 'admin' ? ['admin', ADMIN_PASSWORD] : passwords[operator];
    return api.login(name, password);
  }

  describe('on the operators’ listener', () => {
    // proof: access-matrix
    it('has an entry for every route, and a route for every entry', () => {
      assert.deepEqual(routesOf(api.app), Object.keys(OPERATOR_ROUTES).sort());
    });

    // proof: access-matrix
    for (const operator of OPERATORS)
      it(`${operator}: exactly what the table says`, async () => {
        const holes: string[] = [];
        for (const { method, path, expected } of OPERATOR_ACCESS) {
          const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
          const answer = await api.call(method, filled(path), { token: await tokenOf(operator, path), ...body });
          const outcome = outcomeOf(answer.status);
          if (outcome !== expected[operator]) holes.push(`${method} ${path}: ${answer.status} ${answer.text}`);
          if (method !== 'GET') continue;
          const token = await tokenOf(operator, path);
          const headers = token === null ? {} : { authorization: `Bearer ${token}` };
          const head = await api.app.request(filled(path), { method: 'HEAD', headers });
          if (outcomeOf(head.status) !== outcome) holes.push(`HEAD ${path}: ${head.status}`);
        }
        assert.deepEqual(holes, []);
      });
  });

  describe('on the swarm controller', () => {
    let calls: Record<Peer, SwarmCall>;
    /** Whose uuid a heartbeat names: of another host where the caller poses as it. */
    let claims: Partial<Record<Peer, string>>;
    let agentUuid: string;
    let csr: string;

    before(async () => {
      const agent = await swarm.enroll('matrix-agent');
      const neighbour = await swarm.enroll('matrix-neighbour');
      const removed = await swarm.enroll('matrix-removed');
      await swarm.hosts.remove(removed.host.uuid);
      const stranger = await foreign.issue({ name: 'matrix-agent', sans: ['127.0.0.1'] });
      const master = await swarm.authority.master();
      const withAdmin = (identity: Identity): SwarmCall => ({ identity, token: swarm.admin });
      agentUuid = agent.host.uuid;
      csr = (await createSigningRequest('matrix-agent')).csrPem;
      claims = {
        'removed host': removed.host.uuid,
        'removed host with an admin’s token': removed.host.uuid,
      };
      calls = {
        nobody: {},
        viewer: { token: viewer },
        newcomer: { token: newcomer },
        admin: { token: swarm.admin },
        agent: { identity: agent.identity },
        'agent with an admin’s token': withAdmin(agent.identity),
        neighbour: { identity: neighbour.identity },
        'removed host': { identity: removed.identity },
        'removed host with an admin’s token': withAdmin(removed.identity),
        'foreign CA': { identity: stranger },
        'foreign CA with an admin’s token': withAdmin(stranger),
        master: { identity: master },
        'master with a viewer’s token': { identity: master, token: viewer },
        'master with an admin’s token': withAdmin(master),
      };
    });

    const bodyOf = (path: string, peer: Peer): unknown => {
      if (path === '/swarm/heartbeat')
        return { host_uuid: claims[peer] ?? agentUuid, status: { deployed: false, deckies: [] } };
      if (path === '/swarm/renew') return { csr_pem: csr };
      if (path === '/swarm/join') return { token: 'unknown', csr_pem: csr };
      return {};
    };

    // proof: access-matrix
    it('has an entry for every route, and a route for every entry', () => {
      assert.deepEqual(routesOf(swarm.app), Object.keys(SWARM_ROUTES).sort());
    });

    // proof: access-matrix
    for (const peer of PEERS)
      it(`${peer}: exactly what the table says`, async () => {
        const holes: string[] = [];
        for (const { method, path, expected } of SWARM_ACCESS) {
          const wanted = expected[peer];
          const body = method === 'POST' ? { body: bodyOf(path, peer) } : {};
          const answer = await swarm.call(method, filled(path), { ...calls[peer], ...body }).catch(() => null);
          // A 404 counts where the table names it alone: routes that let in have it too.
          const outcome = answer === null ? 'closed' : answer.status === wanted ? wanted : outcomeOf(answer.status);
          if (outcome !== wanted) holes.push(`${method} ${path}: ${answer?.status} ${answer?.text}`);
        }
        assert.deepEqual(holes, []);
      });
  });

  describe('on an agent', () => {
    let server: AgentServer;
    let identities: Record<Exclude<AgentPeer, 'nobody'>, Identity>;
    let reached: string[];
    const logger = pino({ level: 'silent' });
    const app = createAgentApp({
      logger,
      masterFingerprint: () => identities.master.fingerprint,
      status: async () => {
        reached.push('status');
        return { deployed: false, deckies: [] };
      },
      deckyNames: () => null,
      accept: async () => void reached.push('accept'),
      finish: async () => void reached.push('finish'),
      selfDestruct: () => void reached.push('selfDestruct'),
    });

    before(async () => {
      const { authority } = swarm;
      const own = await authority.issue({ name: 'matrix-host', sans: ['127.0.0.1'] });
      identities = {
        'the agent itself': own,
        neighbour: await authority.issue({ name: 'matrix-other', sans: ['127.0.0.1'] }),
        controller: await authority.server(['127.0.0.1']),
        'foreign CA': await foreign.master(),
        master: await authority.master(),
      };
      const facts = {
        host_uuid: NOBODY,
        name: 'matrix-host',
        master_url: 'https://127.0.0.1:1',
        master_fingerprint: identities.master.fingerprint,
        ca_fingerprint: authority.fingerprint,
        agent_port: 0,
      };
      const identity = { facts, caPem: authority.caPem, certPem: own.certPem, keyPem: own.keyPem };
      server = await startAgentServer(app, { host: '127.0.0.1', port: 0 }, identity);
    });
    beforeEach(() => {
      reached = [];
    });
    after(() => server?.stop());

    /** Null where TLS does not let it in. */
    const ask = (peer: AgentPeer, method: string, path: string): Promise<number | null> =>
      new Promise((resolve) => {
        const shown = peer === 'nobody' ? {} : { cert: identities[peer].certPem, key: identities[peer].keyPem };
        const options = { host: '127.0.0.1', port: server.port, ca: swarm.authority.caPem, agent: false, ...shown };
        const made = request({ ...options, method, path }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        made.on('error', () => resolve(null));
        made.end(method === 'POST' ? '{"decky_id":null}' : undefined);
      });

    // proof: access-matrix
    it('has an entry for every route, and a route for every entry', () => {
      assert.deepEqual(routesOf(app), Object.keys(AGENT_ROUTES).sort());
    });

    // proof: access-matrix
    for (const peer of AGENT_PEERS)
      it(`${peer}: exactly what the table says`, async () => {
        const holes: string[] = [];
        for (const { method, path, expected } of AGENT_ACCESS) {
          const status = await ask(peer, method, path);
          const outcome = status === null ? 'closed' : outcomeOf(status);
          if (outcome !== expected[peer]) holes.push(`${method} ${path}: ${status}`);
        }
        assert.deepEqual(holes, []);
        const works = ['status', 'finish', 'selfDestruct'];
        assert.deepEqual(reached, peer === 'master' ? works : [], 'what was done');
      });
  });
});
