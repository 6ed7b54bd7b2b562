/** Who may use which route: the one table. `test/integration/access-matrix.test.ts` plays it against the routes that the apps have. */

/** `in`: the guards let it pass. `closed`: the connection ends before any answer. A number: that status, from a guard. */
export type Outcome = 'in' | 'closed' | 401 | 403 | 404;
type Rule<Caller extends string> = Readonly<Record<Caller, Outcome>>;

/** `newcomer`: an administrator who has to change the password first. */
export const OPERATORS = ['nobody', 'newcomer', 'viewer', 'admin'] as const;
export type Operator = (typeof OPERATORS)[number];

const OPERATOR_RULES = {
  anyone: { nobody: 'in', newcomer: 'in', viewer: 'in', admin: 'in' },
  'own account': { nobody: 401, newcomer: 'in', viewer: 'in', admin: 'in' },
  viewer: { nobody: 401, newcomer: 403, viewer: 'in', admin: 'in' },
  admin: { nobody: 401, newcomer: 403, viewer: 403, admin: 'in' },
} as const satisfies Record<string, Rule<Operator>>;

/** The operators' listener. `anyone` of a guarded subject is open by a secret of its own: a password, a one-shot token. */
export const OPERATOR_ROUTES: Readonly<Record<string, keyof typeof OPERATOR_RULES>> = {
  'GET /healthz': 'anyone',
  'GET /readyz': 'anyone',
  'GET /metrics': 'anyone',
  'GET /docs': 'anyone',
  'GET /openapi.json': 'anyone',
  'POST /api/v1/auth/login': 'anyone',
  'GET /api/v1/swarm/enroll-bundle/:file{[\\w-]+\\.(sh|tgz)}': 'anyone',
  'POST /api/v1/auth/change-password': 'own account',
  'POST /api/v1/auth/logout': 'own account',
  'POST /api/v1/auth/sse-ticket': 'viewer',
  'GET /api/v1/audit': 'admin',
  'GET /api/v1/config': 'viewer',
  'GET /api/v1/deckies': 'viewer',
  'GET /api/v1/deckies/lifecycle': 'viewer',
  'GET /api/v1/deployments': 'viewer',
  'GET /api/v1/deployments/:deployment_id': 'viewer',
  'POST /api/v1/deployments/:deployment_id/cancel': 'admin',
  'GET /api/v1/drift': 'viewer',
  'GET /api/v1/events': 'viewer',
  'GET /api/v1/fleet': 'viewer',
  'GET /api/v1/stream': 'viewer',
  'GET /api/v1/system/deployment-mode': 'viewer',
  'GET /api/v1/topologies/archetypes': 'viewer',
  'GET /api/v1/topologies/services': 'viewer',
  'GET /api/v1/topologies/services/:service_name/schema': 'viewer',
  'POST /api/v1/deckies/deploy': 'admin',
  'POST /api/v1/deckies/:decky_name/mutate': 'admin',
  'PUT /api/v1/deckies/:decky_name/mutate-interval': 'admin',
  'DELETE /api/v1/deckies': 'admin',
  'DELETE /api/v1/deckies/:decky_name': 'admin',
  'POST /api/v1/deckies/:decky_name/start': 'admin',
  'POST /api/v1/deckies/:decky_name/stop': 'admin',
  'POST /api/v1/reconcile': 'admin',
  'PUT /api/v1/config/reconcile-interval': 'admin',
  'PUT /api/v1/config/deployment-limit': 'admin',
  'PUT /api/v1/config/global-mutation-interval': 'admin',
  'POST /api/v1/config/users': 'admin',
  'PUT /api/v1/config/users/:user_uuid/reset-password': 'admin',
  'PUT /api/v1/config/users/:user_uuid/role': 'admin',
  'DELETE /api/v1/config/users/:user_uuid': 'admin',
  'GET /api/v1/swarm/hosts': 'admin',
  'GET /api/v1/swarm/hosts/:uuid': 'admin',
  'PATCH /api/v1/swarm/hosts/:uuid': 'admin',
  'DELETE /api/v1/swarm/hosts/:uuid': 'admin',
  'POST /api/v1/swarm/hosts/:uuid/move': 'admin',
  'POST /api/v1/swarm/hosts/:uuid/teardown': 'admin',
  'GET /api/v1/swarm/deckies': 'admin',
  'POST /api/v1/swarm/enrollments': 'admin',
  'POST /api/v1/swarm/enroll-bundle': 'admin',
};

/** The certificate that is shown, and whose token is sent. All of them come from loopback. */
export const PEERS = [
  'nobody',
  'viewer',
  'newcomer',
  'admin',
  'agent',
  'agent with an admin’s token',
  'neighbour',
  'removed host',
  'removed host with an admin’s token',
  'foreign CA',
  'foreign CA with an admin’s token',
  'master',
  'master with a viewer’s token',
  'master with an admin’s token',
] as const;
export type Peer = (typeof PEERS)[number];

const SWARM_RULES = {
  anyone: rule('in', {}),
  operator: rule(403, {
    nobody: 401,
    admin: 'in',
    master: 401,
    'master with an admin’s token': 'in',
  }),
  /** For the host whose uuid the body names; the master's row of a removed one is gone. */
  'the host itself': rule(403, {
    agent: 'in',
    'agent with an admin’s token': 'in',
    'removed host': 404,
    'removed host with an admin’s token': 404,
  }),
  /** Which nobody here has; whoever has it needs nothing else. */
  'a one-shot token': rule(403, {}),
  'any host': rule(403, { agent: 'in', 'agent with an admin’s token': 'in', neighbour: 'in' }),
} as const;

/** A certificate that is not of our CA gets no answer from any route. */
function rule(otherwise: Outcome, given: Partial<Rule<Peer>>): Rule<Peer> {
  const entries = PEERS.map((peer) => [peer, peer.startsWith('foreign') ? 'closed' : (given[peer] ?? otherwise)]);
  return Object.fromEntries(entries) as Rule<Peer>;
}

/** The swarm controller. */
export const SWARM_ROUTES: Readonly<Record<string, keyof typeof SWARM_RULES>> = {
  'GET /health': 'anyone',
  'GET /swarm/health': 'anyone',
  'GET /swarm/ca': 'anyone',
  'POST /swarm/join': 'a one-shot token',
  'POST /swarm/heartbeat': 'the host itself',
  'POST /swarm/renew': 'any host',
  'POST /swarm/enroll': 'operator',
  'GET /swarm/hosts': 'operator',
  'GET /swarm/hosts/:uuid': 'operator',
  'DELETE /swarm/hosts/:uuid': 'operator',
  'POST /swarm/deploy': 'operator',
  'POST /swarm/teardown': 'operator',
  'POST /swarm/check': 'operator',
  'GET /swarm/deckies': 'operator',
};

/** Who calls an agent. */
export const AGENT_PEERS = ['nobody', 'the agent itself', 'neighbour', 'controller', 'foreign CA', 'master'] as const;
export type AgentPeer = (typeof AGENT_PEERS)[number];

const MASTER_ONLY: Rule<AgentPeer> = {
  nobody: 'closed',
  'the agent itself': 403,
  neighbour: 403,
  controller: 403,
  'foreign CA': 'closed',
  master: 'in',
};
const AGENT_RULES = { master: MASTER_ONLY } as const;

export const AGENT_ROUTES: Readonly<Record<string, keyof typeof AGENT_RULES>> = {
  'GET /health': 'master',
  'GET /status': 'master',
  'POST /deploy': 'master',
  'POST /mutate': 'master',
  'POST /teardown': 'master',
  'POST /self-destruct': 'master',
};

export interface AccessRow<Caller extends string> {
  readonly method: string;
  /** With its parameters, as it is registered. */
  readonly path: string;
  readonly expected: Rule<Caller>;
}

function rows<Name extends string, Caller extends string>(
  routes: Readonly<Record<string, Name>>,
  rules: Readonly<Record<Name, Rule<Caller>>>,
): AccessRow<Caller>[] {
  return Object.entries(routes).map(([route, name]) => {
    const [method = '', path = ''] = route.split(/ (.*)/);
    return { method, path, expected: rules[name] };
  });
}

export const OPERATOR_ACCESS = rows(OPERATOR_ROUTES, OPERATOR_RULES);
export const SWARM_ACCESS = rows(SWARM_ROUTES, SWARM_RULES);
export const AGENT_ACCESS = rows(AGENT_ROUTES, AGENT_RULES);

/** The routes of an app as the table names them; middlewares are none. */
export const routesOf = (app: { readonly routes: readonly { readonly method: string; readonly path: string }[] }) =>
  [...new Set(app.routes.flatMap(({ method, path }) => (method === 'ALL' ? [] : [`${method} ${path}`])))].sort();
