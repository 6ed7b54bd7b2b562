import assert from 'node:assert/strict';
import { context, propagation, trace } from '@opentelemetry/api';
import { createAgentClient } from '../../adapters/agent/client.ts';
import { asking, startTracing } from '../../adapters/tracing/tracing.ts';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { startMaster } from '../support/master/master-program.ts';
import { type CollectedSpan, type Collector, startCollector } from '../support/servers/collector.ts';
import { freePort } from '../support/servers/free-port.ts';
import { endWorker, spawnWorker } from '../support/temporal/worker-process.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('traces', () => {
  let collector: Collector;
  beforeEach(async () => {
    collector = await startCollector();
  });
  afterEach(() => collector.stop());

  const of = (service: string, name: RegExp) => (span: CollectedSpan) =>
    span.service === service && name.test(span.name);

  describe('of a deploy', () => {
    let world: World;
    beforeEach(async () => {
      world = await createWorld({ worker: false });
    });
    afterEach(() => world.close());

    // proof: observability
    it('lead from the request through workflow and child to the activities, and carry no secret', async () => {
      const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '200' };
      const worker = await spawnWorker({ ...world.environment, ...variables });
      const master = await startMaster(world, variables);
      try {
        const ini = `[${world.id}-a]\nservices=redis\n\n[${world.id}-a.redis]\nbanner=MARKED-SECRET\n`;
        const answer = await master.ask('POST', '/api/v1/deckies/deploy', { ini_content: ini });
        assert.equal(answer.status, 202, JSON.stringify(answer.body));
        const { lifecycle_ids: ids } = answer.body as { lifecycle_ids: string[] };
        assert.equal((await world.ended(ids))[0]?.status, 'succeeded');
        const { traceId } = await collector.find(of('deckhand-api', /^POST \/api\/v1\/deckies\/deploy$/));
        const same = (service: string, name: RegExp) =>
          collector.find((span) => span.traceId === traceId && of(service, name)(span));
        await same('deckhand-worker', /^RunWorkflow:deployFleet$/);
        await same('deckhand-worker', /^RunWorkflow:deployLocal$/);
        await same('deckhand-worker', /^RunActivity:/);
        await assert.doesNotReject(same('deckhand-api', /WithStart/));
        assert.ok(!collector.raw().includes('MARKED-SECRET'));
      } finally {
        await master.kill('SIGTERM');
        await endWorker(worker, 'SIGTERM');
      }
    });
  });

  describe('of an order', () => {
    let host: AgentHost;
    beforeEach(async () => {
      host = await agentHost({ engine: 'simulated' });
    });
    afterEach(async () => {
      await host.clean();
      delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
      for (const api of [trace, context, propagation]) api.disable();
    });

    it('lead on to the agent', async () => {
      process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url;
      const port = await freePort();
      await host.start({
        DECKHAND_AGENT_PORT: String(port),
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_BSP_SCHEDULE_DELAY: '200',
      });
      const tracing = await startTracing('worker');
      const client = createAgentClient(() => host.authority.master());
      const address = {
        hostUuid: host.uuid,
        name: host.prefix,
        address: '127.0.0.1',
        port,
        fingerprints: [host.identity.fingerprint],
      };
      await client.deploy(address, host.order([host.decky('a', 10)]));
      await client.close();
      await tracing?.stop();
      const asked = await collector.find(of('deckhand-worker', /^POST \/deploy$/));
      const answered = await collector.find(of('deckhand-agent', /^POST \/deploy$/));
      assert.equal(answered.traceId, asked.traceId);
      assert.equal(answered.parentSpanId, asked.spanId);
    });

    it('are not made, and no header is sent, where no collector is named', async () => {
      assert.equal(await startTracing('worker'), null);
      const headers = await asking('GET /status', {}, async (sent) => sent);
      assert.deepEqual(headers, {});
    });
  });
});
