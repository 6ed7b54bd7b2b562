/**
 * The catalogue for those who fill in a form: archetypes, services, and the settings of each
 * service.
 */
import { createRoute, z } from '@hono/zod-openapi';
import {
  ARCHETYPES,
  type CatalogService,
  type ConfigKey,
  SELECTABLE_SERVICES,
  SERVICES,
  serviceByName,
} from '../../fleet/catalog.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { json, PREFIX, refusals } from '../openapi.ts';

/** DECNET serves its catalogue below its topologies, which this master does not have. */
const PATH = `${PREFIX}/topologies`;

const ArchetypeView = z
  .object({
    slug: z.string(),
    display_name: z.string(),
    description: z.string(),
    services: z.array(z.string()),
    preferred_distros: z.array(z.string()),
    nmap_os: z.string(),
  })
  .openapi('Archetype');

const FieldView = z
  .object({
    key: z.string().openapi({ description: 'As in a sub-section of the INI.' }),
    label: z.string(),
    type: z.enum(['string', 'textarea', 'password', 'int', 'bool', 'enum', 'multi_enum']),
    default: z.unknown(),
    secret: z.boolean(),
    help: z.string().nullable(),
    enum: z.array(z.string()).optional(),
    placeholder: z.string().nullable(),
  })
  .openapi('ServiceSetting');

const EXAMPLE_ARCHETYPE = {
  slug: 'linux-server',
  display_name: 'Linux Server',
  description: 'ssh, http; looks like linux',
  services: ['ssh', 'http'],
  preferred_distros: ['debian'],
  nmap_os: 'linux',
};
const EXAMPLE_FIELD = {
  key: 'mta',
  label: 'MTA',
  type: 'enum',
  default: 'postfix',
  secret: false,
  help: 'MTA personality',
  enum: ['postfix', 'exim', 'sendmail'],
  placeholder: null,
};

const archetypes = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    tags: ['catalogue'],
    method: 'get',
    path: `${PATH}/archetypes`,
    summary: 'The archetypes that a decky can have',
    responses: {
      200: {
        description: 'All of them.',
        content: json(z.object({ archetypes: z.array(ArchetypeView) }), { archetypes: [EXAMPLE_ARCHETYPE] }),
      },
      ...refusals(401, 403),
    },
  });

const services = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    tags: ['catalogue'],
    method: 'get',
    path: `${PATH}/services`,
    summary: 'The services that a decky can have',
    responses: {
      200: {
        description: 'Their names, sorted. `fleet_singletons`: services that are no service of a decky.',
        content: json(z.object({ services: z.array(z.string()), fleet_singletons: z.array(z.string()) }), {
          services: ['http', 'ssh'],
          fleet_singletons: ['sniffer'],
        }),
      },
      ...refusals(401, 403),
    },
  });

const schema = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    tags: ['catalogue'],
    method: 'get',
    path: `${PATH}/services/{service_name}/schema`,
    summary: 'The settings of a service, with their types',
    request: { params: z.object({ service_name: z.string().openapi({ example: 'smtp' }) }) },
    responses: {
      200: {
        description: 'Without fields: the service has no settings.',
        content: json(
          z.object({
            name: z.string(),
            ports: z.array(z.number()),
            fleet_singleton: z.boolean(),
            fields: z.array(FieldView),
          }),
          { name: 'smtp', ports: [25, 587], fleet_singleton: false, fields: [EXAMPLE_FIELD] },
        ),
      },
      ...refusals(401, 403, 404),
    },
  });

/** Words of keys that are written in capitals. */
const ACRONYMS = new Set(['bind', 'cn', 'http', 'mta', 'nla', 'nsid', 'os', 'tls']);

/** `tls_cert` is “TLS cert”. */
function labelOf(key: string): string {
  const words = key.split('_').map((word) => (ACRONYMS.has(word) ? word.toUpperCase() : word));
  const [first = '', ...rest] = words;
  return [first.charAt(0).toUpperCase() + first.slice(1), ...rest].join(' ');
}

const fieldOf = (key: ConfigKey): z.infer<typeof FieldView> => ({
  key: key.key,
  label: labelOf(key.key),
  type: key.type,
  default: key.default ?? null,
  secret: key.secret,
  help: key.applied_to_compose ? (key.description ?? null) : 'Has no effect on the container.',
  ...(key.enum === undefined ? {} : { enum: [...key.enum] }),
  placeholder: null,
});

/**
 * Keys that DECNET reads but puts in no form stay out of this one too: they name paths of the
 * engine's host.
 */
const fieldsOf = ({ service_cfg_keys }: CatalogService): z.infer<typeof FieldView>[] =>
  service_cfg_keys.filter((key) => key.declared_in_schema !== false).map(fieldOf);

export const addCatalogueRoutes: AddRoutes = (app, deps) => {
  const allArchetypes = ARCHETYPES.map(({ slug, display_name, services, preferred_distros, nmap_os }) => ({
    slug,
    display_name,
    description: `${services.join(', ')}; looks like ${nmap_os}`,
    services: [...services],
    preferred_distros: [...preferred_distros],
    nmap_os,
  }));
  app.openapi(archetypes(deps), (c) => c.json({ archetypes: allArchetypes }, 200));

  const singletons = SERVICES.filter((service) => service.fleet_singleton).map(({ name }) => name);
  app.openapi(services(deps), (c) => c.json({ services: [...SELECTABLE_SERVICES], fleet_singletons: singletons }, 200));

  app.openapi(schema(deps), (c) => {
    const name = c.req.valid('param').service_name;
    const service = serviceByName(name);
    if (service === undefined) throw new DeckhandError('NotFound', `Unknown service: ${JSON.stringify(name)}`);
    const { default_ports, fleet_singleton } = service;
    return c.json({ name, ports: [...default_ports], fleet_singleton, fields: fieldsOf(service) }, 200);
  });
};
