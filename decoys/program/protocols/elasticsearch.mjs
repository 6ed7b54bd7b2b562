/** Elasticsearch 7: the node's banner, an empty cluster, and "no such index". */
import { deckyBytes, hostname } from '../settings.mjs';
import { httpServer, pathOf, sendJson } from './http-server.mjs';

const HEADERS = { 'X-elastic-product': 'Elasticsearch', 'Content-Type': 'application/json; charset=UTF-8' };
const uuid = (label) => deckyBytes(label, 16).toString('base64url');

const banner = () => ({
  name: hostname(),
  cluster_name: 'elasticsearch',
  cluster_uuid: uuid('elasticsearch cluster'),
  version: {
    number: '7.17.18',
    build_flavor: 'default',
    build_type: 'deb',
    build_hash: deckyBytes('elasticsearch build', 20).toString('hex'),
    build_date: '2024-02-02T23:07:23.129078801Z',
    build_snapshot: false,
    lucene_version: '8.11.1',
    minimum_wire_compatibility_version: '6.8.0',
    minimum_index_compatibility_version: '6.0.0-beta1',
  },
  tagline: 'You Know, for Search',
});

const health = () => ({
  cluster_name: 'elasticsearch',
  status: 'green',
  timed_out: false,
  number_of_nodes: 1,
  number_of_data_nodes: 1,
  active_primary_shards: 0,
  active_shards: 0,
});

const PAGES = {
  '/': banner,
  '/_cluster/health': health,
  '/_aliases': () => ({}),
  '/_mapping': () => ({}),
  '/_search': () => ({
    took: 1,
    timed_out: false,
    hits: { total: { value: 0, relation: 'eq' }, max_score: null, hits: [] },
  }),
};

function noIndex(path) {
  const index = path.split('/')[1].slice(0, 128);
  const cause = { type: 'index_not_found_exception', reason: `no such index [${index}]`, index };
  return { error: { root_cause: [cause], ...cause }, status: 404 };
}

export const elasticsearch = () =>
  httpServer((request, response) => {
    const path = pathOf(request);
    if (path.startsWith('/_cat/')) {
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/plain; charset=UTF-8', 'Content-Length': 0 });
      response.end();
    } else if (Object.hasOwn(PAGES, path)) sendJson(response, 200, PAGES[path](), HEADERS);
    else sendJson(response, 404, noIndex(path), HEADERS);
  });
