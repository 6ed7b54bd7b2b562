import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Registry } from 'prom-client';
import { parse } from 'yaml';
import { createAgentMetrics, createApiMetrics, createWorkerMetrics } from '../../adapters/metrics/metrics.ts';
import { addDatabaseMetrics, addKeptMetrics } from '../../adapters/metrics/scraped-metrics.ts';
import { readQuery } from '../support/reading/promql.ts';

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

/** Prometheus' own, and those of the Temporal SDK that we look at (its core's documentation names them). */
const FOREIGN = new Set([
  'up',
  'temporal_activity_schedule_to_start_latency_seconds_bucket',
  'temporal_worker_task_slots_used',
  'temporal_workflow_completed_total',
  'temporal_workflow_failed_total',
  'temporal_workflow_task_execution_failed_total',
]);
/** Of the scrape, and of every histogram. */
const COMMON_LABELS = ['job', 'instance', 'le'];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labels: readonly string[];
}

function registries(): Registry[] {
  const api = createApiMetrics({ process: true });
  const absent = (): Promise<never> => Promise.reject(new Error('no server in this room'));
  addDatabaseMetrics(api.registry, absent);
  addKeptMetrics(api.registry, { stream: absent, closedWorkflows: absent });
  const agent = createAgentMetrics();
  agent.watch(() => ({ unacknowledged: 0, orders: 0, deckies: 0 }));
  return [api.registry, createWorkerMetrics().registry, agent.registry];
}

/** All that the three programs register, as the code does it. */
async function registered(): Promise<Metric[]> {
  const found: Metric[] = [];
  for (const registry of registries())
    for (const { name, help, type } of await registry.getMetricsAsJSON())
      found.push({
        name,
        help,
        type: String(type),
        labels: Reflect.get(registry.getSingleMetric(name) ?? {}, 'labelNames'),
      });
  return found;
}

/** Series names that a query may use. */
const seriesOf = ({ name, type }: Metric): string[] =>
  type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}
const rules = (parse(read('observability/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
const { panels } = JSON.parse(read('observability/grafana-dashboard.json')) as { panels: Panel[] };

describe('observability', () => {
  let metrics: Metric[];
  let own: Metric[];
  before(async () => {
    metrics = await registered();
    own = metrics.filter(({ name }) => name.startsWith('deckhand_'));
  });

  /** A query that Prometheus would take, and that asks for series that the code makes, by labels that they have. */
  function assertAnswers(where: string, expr: string): void {
    const { slip, selectors } = readQuery(expr.replaceAll('$__rate_interval', '5m'));
    assert.equal(slip, null, `${where}: ${expr}`);
    assert.ok(selectors.length > 0, `${where} asks for nothing`);
    for (const { metric, labels } of selectors) {
      if (FOREIGN.has(metric)) continue;
      const made = metrics.find((one) => seriesOf(one).includes(metric));
      assert.ok(made, `${where}: nothing registers ${metric}`);
      for (const label of labels)
        assert.ok([...COMMON_LABELS, ...made.labels].includes(label), `${where}: ${metric} has no label ${label}`);
    }
  }

  // proof: observability
  it('every alert is a query that the programs’ metrics can answer', () => {
    assert.ok(rules.length > 10);
    for (const { alert, expr } of rules) assertAnswers(alert, expr);
  });

  it('every panel of the dashboard is, too', () => {
    const shown = panels.filter((panel) => panel.type !== 'row');
    assert.ok(shown.length > 20);
    for (const { title, targets = [] } of shown) {
      assert.ok(targets.length > 0, title);
      for (const { expr } of targets) assertAnswers(title, expr);
    }
    assert.equal(new Set(panels.map((panel) => panel.id)).size, panels.length);
  });

  it('finds queries that would answer nothing', () => {
    assert.throws(() => assertAnswers('a slip', 'sum(rate(deckhand_logins_total[5m])'));
    assert.throws(() => assertAnswers('no such metric', 'deckhand_no_such_total'), /nothing registers/);
    assert.throws(() => assertAnswers('no such label', 'deckhand_hosts{colour="red"}'), /no label colour/);
    assert.throws(() => assertAnswers('a histogram by its bare name', 'deckhand_phase_duration_seconds'));
  });

  it('every alert has a name of its own, a severity and a sentence', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    for (const { alert, labels, annotations } of rules) {
      assert.ok(['page', 'ticket'].includes(labels.severity), alert);
      assert.ok(annotations.summary.length > 20, alert);
    }
  });

  it('metrics are named by what they are, have help, and never a label that grows with the fleet', () => {
    for (const { name, help, type, labels } of own) {
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      if (type === 'histogram') assert.match(name, /_seconds$/);
      assert.ok(help.length > 15, name);
      for (const label of labels) assert.ok(!/decky|host_uuid|user|path|address/.test(label), `${name}: ${label}`);
    }
  });

  it('docs/observability.md explains every metric and every alert, and no other', () => {
    const page = read('docs/observability.md');
    const named = new Set(page.match(/\bdeckhand_[a-z_]+[a-z]\b/g));
    for (const { name } of own) assert.ok(named.has(name), `${name} is missing`);
    const series = new Set(own.flatMap((metric) => [metric.name, ...seriesOf(metric)]));
    for (const name of named) assert.ok(series.has(name), `${name} is registered nowhere`);
    const alerts = new Set(page.match(/\bDeckhand[A-Z]\w+\b/g));
    assert.deepEqual([...alerts].sort(), rules.map(({ alert }) => alert).sort());
  });
});
