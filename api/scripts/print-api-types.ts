/** `npm run generate:api-types`: the types of the operators' API, made from the document that the API itself serves. */
import openapiTypescript, { astToString } from 'openapi-typescript';
import { createApp } from '../app.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { describe } from '../routes/docs.ts';

/** Enough to register the routes. No request is ever answered, so the ports are left out. */
const PORTS: ApiDependencies = Object.assign(Object.create(null), {
  corsOrigins: [],
  limiterEnabled: false,
  audit: null,
  // Its routes are there only where hosts can be.
  swarm: {},
  jwt: { secret: 'x'.repeat(32), issuer: 'deckhand' },
});

const HEAD = `/** Generated from the API's OpenAPI document by \`npm run generate:api-types\`. Do not edit. */\n`;

const PROSE = new Set(['description', 'summary', 'example', 'examples']);

/**
 * Without prose, since a sentence that changes is no change of a type, and without refusals, since all have one shape.
 * `named`: its keys are names of properties, and one of these may be called `description`.
 */
function shapeOf(value: unknown, named = false): unknown {
  if (Array.isArray(value)) return value.map((one) => shapeOf(one));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, part]) =>
      !named && (PROSE.has(key) || /^[45]\d\d$/.test(key))
        ? []
        : [[key, shapeOf(part, !named && key === 'properties')]],
    ),
  );
}

/** The text of cli/api.d.ts. */
export async function apiTypes(): Promise<string> {
  const document = JSON.stringify(shapeOf(describe(createApp(PORTS))));
  const types = await openapiTypescript(document, { defaultNonNullable: false });
  return HEAD + astToString(types);
}

if (process.argv[1]?.endsWith('print-api-types.ts')) process.stdout.write(await apiTypes());
