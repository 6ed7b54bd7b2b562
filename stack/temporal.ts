/** Temporal: TEMPORAL_ADDRESS, else a dev server from the PATH, the cache, the SDK's download, or built by Go. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { msNumberToTs } from '@temporalio/common/lib/time.js';
import { cachedBinary, findOnPath, goInstall, isExecutable, provideBinary, type Say, type Way } from './binaries.ts';
import { LOOPBACK } from './claims.ts';
import type { Provided, StackContext } from './context.ts';

/** The last version that `go install` can build: 1.6 and later have a replace directive. */
const TEMPORAL_VERSION = '1.5.1';
export const RETENTION_DAYS = 30;
export const SEARCH_ATTRIBUTES: Readonly<Record<string, string>> = Object.freeze({
  DeckyName: 'KeywordList',
  HostUuid: 'Keyword',
  Operation: 'Keyword',
  LifecycleOutcome: 'Keyword',
  DeckhandKind: 'Keyword',
});

/** What an operator runs where a Temporal of his own does not know them. */
export const registerCommand = (address: string, namespace: string, names: readonly string[]): string =>
  [
    `temporal operator search-attribute create --address ${address} --namespace ${namespace}`,
    ...names.map((name) => `--name ${name} --type ${SEARCH_ATTRIBUTES[name]}`),
  ].join(' ');

export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string | null;
}

/** The SDK downloads when a test environment starts; the file is all that we want of it. */
const sdkDownload: Way = {
  title: `the SDK’s download of Temporal ${TEMPORAL_VERSION}`,
  async obtain(scratch) {
    const { TestWorkflowEnvironment } = await import('@temporalio/testing');
    const environment = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'cached-download', downloadDir: scratch, version: `v${TEMPORAL_VERSION}` } },
    });
    await environment.teardown();
    const file = readdirSync(scratch).find((name) => isExecutable(join(scratch, name)));
    if (!file) throw new Error(`nothing was downloaded into ${scratch}`);
    return join(scratch, file);
  },
};

const temporalWays: readonly Way[] = [
  sdkDownload,
  goInstall('github.com/temporalio/cli/cmd/temporal', `v${TEMPORAL_VERSION}`, 'temporal'),
];

async function findTemporal(say: Say): Promise<{ path: string; origin: string }> {
  const onPath = findOnPath('temporal');
  if (onPath) return { path: onPath, origin: `embedded, ${onPath}` };
  const path = await provideBinary('temporal', TEMPORAL_VERSION, temporalWays, say);
  return { path, origin: `embedded ${TEMPORAL_VERSION}` };
}

/** The binary without getting it: where it is found now, or null. */
export const locateTemporal = (): string | null =>
  findOnPath('temporal') ?? [cachedBinary('temporal', TEMPORAL_VERSION)].find(isExecutable) ?? null;

export async function provideTemporal(context: StackContext): Promise<Provided<TemporalServer>> {
  const { TEMPORAL_ADDRESS: external, TEMPORAL_NAMESPACE: namespace = 'default' } = context.environment;
  if (external)
    return {
      process: null,
      origin: 'external, TEMPORAL_ADDRESS',
      value: { address: external, namespace, uiUrl: null },
    };
  const { path, origin } = await findTemporal(context.sayFor('temporal'));
  const survives = context.survives('temporal');
  const port = await context.ports.choose('temporal', survives);
  const uiPort = await context.ports.choose('temporalUi', survives);
  const address = `${LOOPBACK}:${port}`;
  return {
    origin,
    value: { address, namespace, uiUrl: `http://${LOOPBACK}:${uiPort}` },
    process: {
      name: 'temporal',
      command: path,
      args: serverArguments(context, port, uiPort, namespace),
      adoptable: true,
      startTimeoutMs: 60_000,
      stopTimeoutMs: 10_000,
      ready: () => prepareNamespace(address, namespace),
    },
  };
}

function serverArguments(context: StackContext, port: number, uiPort: number, namespace: string): string[] {
  return [
    ...['server', 'start-dev', '--ip', LOOPBACK, '--port', String(port), '--ui-port', String(uiPort)],
    ...['--db-filename', context.home.path('temporal.db'), '--namespace', namespace, '--log-level', 'warn'],
    // Measured: five times faster than the file's default. A killed process loses nothing, a power cut may lose the last moments.
    ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal'],
    ...Object.entries(SEARCH_ATTRIBUTES).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
  ];
}

const retentionSeconds = RETENTION_DAYS * 24 * 3600;

/** Ready means: the namespace answers, and keeps closed workflows for {@link RETENTION_DAYS}. */
async function prepareNamespace(address: string, namespace: string): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    const found = await connection.workflowService.describeNamespace({ namespace });
    const kept = Number(found.config?.workflowExecutionRetentionTtl?.seconds ?? 0);
    if (kept !== retentionSeconds)
      await connection.workflowService.updateNamespace({
        namespace,
        config: { workflowExecutionRetentionTtl: msNumberToTs(retentionSeconds * 1_000) },
      });
    return true;
  } finally {
    await connection.close();
  }
}
