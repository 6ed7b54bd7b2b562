/** Builds an image by the engine's classic builder, which every engine has (buildx may be missing). */
import { readdir } from 'node:fs/promises';
import type Docker from 'dockerode';
import type { ComposeService } from '../../fleet/compose.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { raceAbort } from '../../lib/concurrency.ts';
import { callEngine, READ_TIMEOUT_MS } from './call.ts';
import { engineMessage, engineStatus, isDiskFull, toDeckhandError } from './errors.ts';
import { lineError, progressLines } from './json-lines.ts';

/** Lines of the build that a failure carries. */
const EVIDENCE_LINES = 10;

export type BuildSource =
  | { readonly tar: NodeJS.ReadableStream }
  | { readonly folder: NonNullable<ComposeService['build']> };

/** Throws BuildFailed with the last lines of the build (permanent), DiskFull, EngineUnreachable when the engine vanishes. */
export async function buildImage(
  docker: Docker,
  image: string,
  source: BuildSource,
  signal: AbortSignal,
  onProgress: (step: string) => void,
): Promise<void> {
  onProgress(`building ${image}`);
  const lines: string[] = [];
  const fail = (cause: string, error?: unknown): DeckhandError =>
    new DeckhandError(
      isDiskFull(cause) ? 'DiskFull' : 'BuildFailed',
      [`build of ${image} failed: ${cause}`, ...lines.slice(-EVIDENCE_LINES)].join('\n'),
      { cause: error },
    );
  try {
    const stream = await startBuild(docker, image, source, signal);
    for await (const line of progressLines(stream)) {
      const error = lineError(line);
      if (error) throw fail(error);
      const text = line.stream?.trim();
      if (!text) continue;
      lines.push(text);
      const step = /^Step (\d+\/\d+)/.exec(text)?.[1];
      if (step) onProgress(`building ${image}: step ${step}`);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (engineStatus(error) !== null) throw fail(engineMessage(error), error);
    throw toDeckhandError(error, `build of ${image}`);
  }
}

async function startBuild(
  docker: Docker,
  image: string,
  source: BuildSource,
  abortSignal: AbortSignal,
): Promise<NodeJS.ReadableStream> {
  const options: Docker.ImageBuildOptions = { t: image, version: '1', rm: true, forcerm: true, abortSignal };
  if ('tar' in source) return docker.buildImage(source.tar, options);
  const { context, args } = source.folder;
  // An operator's recipe may download things; an engine without its default bridge can only do that on the host's network.
  if (!(await hasDefaultBridge(docker, abortSignal))) options.networkmode = 'host';
  const src = await readdir(context).catch((error: unknown) => {
    throw new DeckhandError(
      'BuildFailed',
      `build of ${image}: the folder ${context} can't be read (${engineMessage(error)})`,
    );
  });
  return docker.buildImage({ context, src }, args ? { ...options, buildargs: args } : options);
}

function hasDefaultBridge(docker: Docker, signal: AbortSignal): Promise<boolean> {
  return callEngine({ doing: 'look at network bridge', signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    try {
      await raceAbort(docker.getNetwork('bridge').inspect(), abortSignal);
      return true;
    } catch (error) {
      if (engineStatus(error) === 404) return false;
      throw error;
    }
  });
}
