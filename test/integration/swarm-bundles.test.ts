/** Bundles, from which a machine becomes a host with DECNET’s own agent. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { networkInterfaces } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { startServer } from '../../api/server.ts';
import { bootstrapScript, createBundles } from '../../api/swarm/bundles.ts';
import { swarmOperator } from '../support/master/swarm-operator.ts';

describe('bundles of DECNET', function () {
  this.timeout(60_000);
  const on = swarmOperator();
  const { api } = on;

  const order = { master_host: '192.0.2.1', agent_name: 'rack4-1', use_ipvlan: true, services_ini: '[x]\n' };

  async function unpack(tarball: Buffer): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    const reader = extract();
    reader.end(gunzipSync(tarball));
    for await (const entry of reader) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      files.set(entry.header.name, Buffer.concat(chunks).toString());
    }
    return files;
  }
  const fetchBundle = (token: string, kind: string) =>
    on.swarm.api.app.request(`/api/v1/swarm/enroll-bundle/${token}.${kind}`);

  it('are fetched once, and carry a certificate that names the address of who fetched it (gaps, D)', async () => {
    const made = await api('POST', '/swarm/enroll-bundle', order);
    assert.equal(made.status, 201, made.text);
    const { token, command, host_uuid: uuid } = made.json;
    assert.match(command, new RegExp(`^curl -fsSL http://192\\.0\\.2\\.1.*/${token}\\.sh \\| sudo sh$`));
    assert.equal((await on.swarm.hosts.get(uuid))?.address, '');
    assert.equal((await api('GET', '/system/deployment-mode')).json.swarm_host_count, 0, 'nobody knows where it is');
    const script = await (await fetchBundle(token, 'sh')).text();
    assert.ok(script.includes(`/${token}.tgz`));
    const answers = await Promise.all([fetchBundle(token, 'tgz'), fetchBundle(token, 'tgz')]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 404]);
    const tarball = answers.find((answer) => answer.status === 200);
    assert.ok(tarball);
    const files = await unpack(Buffer.from(await tarball.arrayBuffer()));
    assert.deepEqual([...files.keys()].sort(), [
      'etc/decnet/decnet.ini',
      'etc/systemd/system/decnet-agent.service',
      'home/.decnet/agent/ca.crt',
      'home/.decnet/agent/worker.crt',
      'home/.decnet/agent/worker.key',
      'home/.decnet/updater/ca.crt',
      'home/.decnet/updater/updater.crt',
      'home/.decnet/updater/updater.key',
      'install.sh',
      'services.ini',
    ]);
    assert.match(files.get('etc/decnet/decnet.ini') ?? '', new RegExp(`host-uuid = ${uuid}\n`));
    assert.match(files.get('etc/decnet/decnet.ini') ?? '', /master-host = 192\.0\.2\.1\nswarmctl-port = \d+\n/);
    const certificate = new X509Certificate(files.get('home/.decnet/agent/worker.crt') ?? '');
    for (const name of ['127.0.0.1', '192.0.2.1']) assert.ok(certificate.checkIP(name), name);
    assert.ok(certificate.checkHost('rack4-1'));
    const host = await on.swarm.hosts.get(uuid);
    assert.deepEqual([host?.address, host?.useIpvlan], ['127.0.0.1', true]);
    const identity = { certPem: certificate.toString(), keyPem: files.get('home/.decnet/agent/worker.key') ?? '' };
    const body = { host_uuid: uuid, status: { deployed: false, deckies: [] } };
    assert.equal((await on.swarm.call('POST', '/swarm/heartbeat', { identity, body })).status, 204);
  });

  it('install the whole package, and a service that names where the certificates lie (gaps, D)', async () => {
    const made = await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: 'rack4-2' });
    const files = await unpack(Buffer.from(await (await fetchBundle(made.json.token, 'tgz')).arrayBuffer()));
    const install = files.get('install.sh') ?? '';
    assert.match(install, /pip install .*decnet==/);
    const directory =
      /install .*worker\.crt home\/\.decnet\/agent\/worker\.key (\S+)\//.exec(install)?.[1] ?? 'nowhere';
    const service = files.get('etc/systemd/system/decnet-agent.service') ?? '';
    assert.match(service, new RegExp(`^ExecStart=.* agent --agent-dir ${directory} `, 'm'));
  });

  it('stay on this machine over plain HTTP', async () => {
    const made = await api('POST', '/swarm/enroll-bundle', order);
    const from = (remoteAddress: string) =>
      on.swarm.api.app.request(`/api/v1/swarm/enroll-bundle/${made.json.token}.tgz`, {}, {
        incoming: { socket: { remoteAddress } },
      } as never);
    const refused = await from('192.0.2.9');
    assert.equal(refused.status, 403);
    assert.match(((await refused.json()) as { detail: string }).detail, /DECKHAND_PLAIN_BUNDLES/);
    assert.equal((await from('127.0.0.1')).status, 200);
  });

  const from = (token: string, socket: object, headers: Record<string, string> = {}) =>
    on.swarm.api.app.request(`/api/v1/swarm/enroll-bundle/${token}.sh`, { headers }, { incoming: { socket } } as never);

  // proof: field-4-5
  it('are had from another machine over TLS, by a command that says https', async () => {
    const { token } = (await api('POST', '/swarm/enroll-bundle', order)).json;
    const answer = await from(token, { remoteAddress: '192.0.2.9', encrypted: true });
    assert.equal(answer.status, 200, await answer.clone().text());
    const claimed = await from(token, { remoteAddress: '192.0.2.9' }, { 'x-forwarded-proto': 'https' });
    assert.equal(claimed.status, 403, 'no header of a stranger is believed');
  });

  // proof: field-4-5
  it('are had over the listener’s own certificate from an address that is not loopback', async function () {
    const [address] = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).filter((one) => one.family === 'IPv4' && !one.internal).map((one) => one.address),
    );
    if (address === undefined) return this.skip();
    const { certPem: cert, keyPem: key } = await on.swarm.authority.server(['localhost', address]);
    const tls = { current: () => ({ cert, key }), follow: () => () => undefined };
    const server = await startServer(on.swarm.api.app, { host: '0.0.0.0', port: 0, tls });
    try {
      const ask = (method: string, path: string, body?: object): Promise<{ status: number; text: string }> =>
        new Promise((resolve, reject) => {
          const headers = { authorization: `Bearer ${on.swarm.admin}`, 'content-type': 'application/json' };
          const url = `https://${address}:${server.port}/api/v1/swarm/enroll-bundle${path}`;
          const asked = request(url, { method, headers, rejectUnauthorized: false, agent: false }, (answer) => {
            let text = '';
            answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
          });
          asked.on('error', reject).end(body && JSON.stringify(body));
        });
      const made = await ask('POST', '', { ...order, master_host: address });
      assert.equal(made.status, 201, made.text);
      const { command, token } = JSON.parse(made.text);
      const url = `https://${address}:${server.port}/api/v1/swarm/enroll-bundle/${token}`;
      assert.equal(command, `curl -fsSL ${url}.sh | sudo sh`);
      const script = await ask('GET', `/${token}.sh`);
      assert.ok(script.text.includes(`${url}.tgz`), script.text);
      assert.equal((await ask('GET', `/${token}.tgz`)).status, 200);
    } finally {
      await server.stop();
    }
  });

  it('name https where a proxy of this machine says that it was asked so', async () => {
    const { token } = (await api('POST', '/swarm/enroll-bundle', order)).json;
    const script = async (headers: Record<string, string>): Promise<string> =>
      (await from(token, { remoteAddress: '127.0.0.1' }, headers)).text();
    assert.match(await script({ 'x-forwarded-proto': 'https' }), /https:\/\/192\.0\.2\.1/);
    assert.match(await script({}), /http:\/\/192\.0\.2\.1/);
  });

  // proof: field-4-5
  it('outlast a restart of the master, and only their hash is kept', async () => {
    const { sql } = on.swarm.api.database;
    const { token, host_uuid } = (await api('POST', '/swarm/enroll-bundle', order)).json;
    const another = createBundles(sql, on.swarm.authority, { name: 'm', port: 1 });
    assert.deepEqual(
      [(await another.find(token))?.hostUuid, (await another.find(token))?.servicesIni],
      [host_uuid, order.services_ini],
    );
    const kept = JSON.stringify(await sql`select * from enrollment_bundles`);
    assert.equal(kept.includes(token), false);
    const both = await Promise.all([another.take(token, '127.0.0.1'), fetchBundle(token, 'tgz')]);
    assert.deepEqual([both[0] === null, both[1].status], both[0] === null ? [true, 200] : [false, 404]);
    assert.equal((await sql`select from enrollment_bundles`).length, 0);
  });

  // proof: field-4-5
  it('stay good where the certificate could not be made, and end with their host and their time', async () => {
    const { sql } = on.swarm.api.database;
    const { token, host_uuid } = (await api('POST', '/swarm/enroll-bundle', order)).json;
    const issue = async (): Promise<never> => {
      throw new Error('the disk is full');
    };
    const failing = createBundles(sql, { ...on.swarm.authority, issue }, { name: 'm', port: 1 });
    await assert.rejects(failing.take(token, '127.0.0.1'), /the disk is full/);
    assert.equal((await fetchBundle(token, 'sh')).status, 200);
    await sql`update enrollment_bundles set expires_at = now() - interval '1 second'`;
    assert.deepEqual([(await fetchBundle(token, 'sh')).status, (await fetchBundle(token, 'tgz')).status], [404, 404]);
    await sql`update enrollment_bundles set expires_at = now() + interval '1 minute'`;
    await on.swarm.hosts.remove(host_uuid);
    assert.deepEqual([(await fetchBundle(token, 'sh')).status, (await fetchBundle(token, 'tgz')).status], [404, 404]);
  });

  it('ten a minute are made, and odd names not at all', async () => {
    assert.equal((await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: 'Rack' })).status, 422);
    for (let turn = 0; turn < 10; turn += 1) {
      const made = await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: `rack-${turn}` });
      assert.equal(made.status, 201);
    }
    assert.equal((await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: 'rack-10' })).status, 429);
    assert.equal((await fetchBundle('nothing', 'sh')).status, 404);
  });

  it('their script runs what it fetched and leaves nothing', () => {
    const script = bootstrapScript('http://192.0.2.1:8000/x.tgz');
    assert.match(script, /trap 'rm -rf "\$dir"' EXIT/);
    assert.match(script, /sh "\$dir\/install\.sh"/);
  });
});
