/** temporal-dev.yml can't be pulled in every test run; its shape is held here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { SEARCH_ATTRIBUTES } from '../../stack/temporal.ts';

const serviceSchema = z.object({
  image: z.string(),
  command: z.array(z.string()).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  healthcheck: z.object({ test: z.array(z.string()).min(2) }).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).optional(),
  restart: z.string(),
});
const file = z
  .object({ services: z.record(z.string(), serviceSchema), volumes: z.record(z.string(), z.null()) })
  .parse(parse(readFileSync(new URL('../../temporal-dev.yml', import.meta.url), 'utf8')));
const services = Object.entries(file.services);
const isOneShot = (restart: string) => restart.startsWith('on-failure');

describe('temporal-dev.yml', () => {
  it('has Temporal, its Web UI, PostgreSQL and NATS', () => {
    assert.deepEqual(Object.keys(file.services).sort(), [
      'nats',
      'postgres',
      'search-attributes',
      'temporal',
      'temporal-ui',
    ]);
  });

  it('pins each image to a whole version', () => {
    for (const [name, { image }] of services) assert.match(image, /:\d+\.\d+(\.\d+)?(-\w+)?$/, name);
  });

  it('checks the health of each service that stays', () => {
    for (const [name, { healthcheck, restart }] of services)
      assert.equal(healthcheck !== undefined, !isOneShot(restart), name);
  });

  it('waits for health where something is needed', () => {
    for (const [name, { depends_on: needed = {} }] of services)
      for (const [other, { condition }] of Object.entries(needed)) {
        assert.equal(condition, 'service_healthy', `${name} → ${other}`);
        assert.ok(file.services[other]?.healthcheck, `${name} → ${other}`);
      }
  });

  it('publishes on loopback only', () => {
    for (const [name, { ports = [] }] of services) for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, name);
  });

  it('declares the volumes that it uses', () => {
    const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
    assert.deepEqual(used.sort(), Object.keys(file.volumes).sort());
  });

  it('registers the search attributes of the embedded server', () => {
    const command = file.services['search-attributes']?.command ?? [];
    const values = (flag: string) =>
      command
        .filter((argument) => argument.startsWith(`--${flag}=`))
        .map((argument) => argument.slice(flag.length + 3));
    const registered = values('name').map((name, index) => [name, values('type')[index]]);
    assert.deepEqual(Object.fromEntries(registered), { ...SEARCH_ATTRIBUTES });
  });
});
