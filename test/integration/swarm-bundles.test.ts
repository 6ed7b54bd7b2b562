/** Bundles, from which a machine becomes a host with DECNET’s own agent. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { bootstrapScript } from '../../api/swarm/bundle-files.ts';
import { swarmOperator } from '../support/swarm-operator.ts';

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
