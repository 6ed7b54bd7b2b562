import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { composeConfigHash } from '../../engine/docker/create-options.ts';
import type { ComposeService } from '../../fleet/compose.ts';

interface Vector {
  readonly key: string;
  readonly service: ComposeService;
  readonly base_id: string | null;
  readonly hash: string;
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../fixtures/engine/compose-hashes.json', import.meta.url), 'utf8'),
) as { vectors: Vector[] };

const vector = (key: string): Vector => {
  const found = vectors.find((candidate) => candidate.key === key);
  assert.ok(found);
  return found;
};

describe("Compose's config hash", () => {
  // proof: compose-takeover
  for (const { key, service, base_id, hash } of vectors)
    it(`is the one that docker compose v2.40.3 gave to ${key}`, () => {
      assert.equal(composeConfigHash(service, base_id), hash);
    });

  it('does not depend on the order of the keys of a map', () => {
    const { service, hash } = vector('web1');
    const sysctls = Object.fromEntries(Object.entries(service.sysctls ?? {}).reverse());
    assert.equal(composeConfigHash({ ...service, sysctls }, null), hash);
  });

  it('leaves out what Compose leaves out: build and depends_on', () => {
    const { service, base_id, hash } = vector('web1-http');
    const { build: _build, depends_on: _dependsOn, ...rest } = service;
    assert.equal(composeConfigHash(rest, base_id), hash);
  });

  for (const change of [
    { hostname: 'other' },
    { image: 'other:1' },
    { command: ['sleep', '1'] },
    { labels: { a: 'b' } },
    { cap_add: [] },
    { restart: 'no' },
    { networks: { decnet_lan: { ipv4_address: '10.231.7.8' } } },
  ] satisfies Partial<ComposeService>[])
    it(`changes with ${Object.keys(change).join()}`, () => {
      const { service, hash } = vector('web1');
      assert.notEqual(composeConfigHash({ ...service, ...change }, null), hash);
    });

  it('changes with the id of the base', () => {
    const { service, hash } = vector('web1-http');
    assert.notEqual(composeConfigHash(service, 'another'), hash);
  });
});
