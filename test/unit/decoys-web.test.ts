import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type PeerCertificate, TLSSocket } from 'node:tls';
import { pathToFileURL } from 'node:url';
import { Decoy, withDecoy } from '../support/docker/decoys.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly certificate: PeerCertificate | undefined;
}

function get(
  port: number,
  path: string,
  options: { tls?: boolean; method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const request = options.tls ? httpsRequest : httpRequest;
  const { method = 'GET', headers = {} } = options;
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, path, method, headers, agent: false, rejectUnauthorized: false },
      (response) => {
        const certificate = response.socket instanceof TLSSocket ? response.socket.getPeerCertificate() : undefined;
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, certificate }),
        );
      },
    );
    call.on('error', reject).end();
  });
}

const tlsModule = pathToFileURL(join(import.meta.dirname, '../../decoys/program/tls.mjs')).href;
const selfSigned = async (name: string): Promise<{ cert: string; key: string }> =>
  ((await import(tlsModule)) as { selfSigned(name: string): { cert: string; key: string } }).selfSigned(name);

describe('decoys: the web and its programming interfaces', function () {
  this.timeout(30_000);

  it('HTTP shows what the service’s configuration says', () =>
    withDecoy(
      'http',
      {
        SERVER_HEADER: 'nginx/1.24.0',
        RESPONSE_CODE: '403',
        EXTRA_HEADERS: '{"X-Test": "a", "Bad Name": "b"}',
        CUSTOM_BODY: 'no entry',
      },
      async (decoy) => {
        for (const [port, tls] of [
          [80, false],
          [443, true],
        ] as const) {
          const answer = await get(decoy.port(port), '/', { tls });
          assert.deepEqual(
            [answer.status, answer.headers.server, answer.headers['x-test'], answer.body],
            [403, 'nginx/1.24.0', 'a', 'no entry'],
          );
        }
      },
    ));

  it('each FAKE_APP has its page where a scanner looks for it', async () => {
    const places = {
      wordpress: ['/wp-login.php', 200],
      phpmyadmin: ['/', 200],
      tomcat: ['/manager/html', 401],
      jenkins: ['/login', 200],
    } as const;
    for (const [app, [path, status]] of Object.entries(places))
      await withDecoy('http', { FAKE_APP: app }, async (decoy) => {
        const answer = await get(decoy.port(80), path);
        assert.equal(answer.status, status);
        assert.match(answer.body + String(answer.headers['www-authenticate']), new RegExp(app, 'i'));
        assert.equal((await get(decoy.port(80), '/constructor')).status, 404);
      });
  });

  it('FILES_DIR is served, and nothing outside of it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'deckhand-decoy-files-'));
    try {
      await writeFile(join(folder, 'index.html'), '<p>ours</p>');
      await symlink('/etc/hostname', join(folder, 'link.txt'));
      await withDecoy('http', { FILES_DIR: folder }, async (decoy) => {
        assert.equal((await get(decoy.port(80), '/')).body, '<p>ours</p>');
        for (const path of ['/../../etc/hostname', '/%2e%2e/%2e%2e/etc/hostname', '/link.txt', '/%00', '/%'])
          assert.equal((await get(decoy.port(80), path)).status, 404, path);
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('HTTPS makes a certificate for TLS_CN that verifies, and takes TLS_CERT and TLS_KEY', async () => {
    await withDecoy('https', { TLS_CN: 'shop.example.org' }, async (decoy) => {
      const { certificate } = await get(decoy.port(443), '/', { tls: true });
      assert.equal(certificate?.subject.CN, 'shop.example.org');
      const parsed = new X509Certificate(certificate.raw);
      assert.ok(parsed.verify(parsed.publicKey));
      assert.ok(parsed.checkHost('shop.example.org'));
      assert.ok(Date.parse(parsed.validFrom) < Date.now() && Date.parse(parsed.validTo) > Date.now());
    });
    const { cert, key } = await selfSigned('given.example');
    await withDecoy('https', { TLS_CERT: cert, TLS_KEY: key.replaceAll('\n', '\\n') }, async (decoy) => {
      const { certificate } = await get(decoy.port(443), '/', { tls: true });
      assert.equal(certificate?.subject.CN, 'given.example');
    });
  });

  it('a made certificate can be loaded, whatever its length', async () => {
    for (let length = 1; length <= 64; length += 1) createSecureContext(await selfSigned('n'.repeat(length)));
  });

  it('a key that can’t be used ends the program with a sentence that does not contain it', async () => {
    const { cert } = await selfSigned('given.example');
    const decoy = new Decoy('https', { TLS_CERT: cert, TLS_KEY: 'not-a-key-4711' });
    const line = await decoy.line((each) => each.event === 'fatal');
    assert.match(line.message ?? '', /TLS_CERT and TLS_KEY can't be used/);
    assert.equal(await decoy.exited, 1);
    assert.doesNotMatch(JSON.stringify(decoy.lines), /4711/);
  });

  it('Elasticsearch, Docker and Kubernetes show their banners and refuse', async () => {
    await withDecoy('elasticsearch', {}, async (decoy) => {
      const banner = await get(decoy.port(9200), '/');
      assert.equal(banner.headers['x-elastic-product'], 'Elasticsearch');
      const { name, tagline } = JSON.parse(banner.body) as { name: string; tagline: string };
      assert.deepEqual([name, tagline], ['SRV-TEST-42', 'You Know, for Search']);
      assert.equal((await get(decoy.port(9200), '/users/_search')).status, 404);
    });
    await withDecoy('docker_api', {}, async (decoy) => {
      assert.equal((await get(decoy.port(2375), '/_ping')).body, 'OK');
      assert.equal(
        (JSON.parse((await get(decoy.port(2376), '/v1.43/version', { tls: true })).body) as { Os: string }).Os,
        'linux',
      );
      assert.deepEqual(JSON.parse((await get(decoy.port(2375), '/containers/json')).body), []);
      assert.equal((await get(decoy.port(2375), '/containers/create', { method: 'POST' })).status, 403);
    });
    await withDecoy('k8s', {}, async (decoy) => {
      const port = decoy.port(6443);
      assert.equal((JSON.parse((await get(port, '/version', { tls: true })).body) as { major: string }).major, '1');
      const refused = await get(port, '/api/v1/pods', { tls: true });
      assert.deepEqual([refused.status, (JSON.parse(refused.body) as { reason: string }).reason], [403, 'Forbidden']);
      assert.equal((await get(port, '/api', { tls: true, headers: { authorization: 'Bearer x' } })).status, 401);
    });
  });
});
