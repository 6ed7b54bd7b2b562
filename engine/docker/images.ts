/**
 * Sees to it that an image is on the engine.
 *
 * 1. The store: inspects, builds or pulls an image once for all who need it.
 * 2. Building, by the engine's classic builder, which every engine has (buildx may be missing).
 * 3. Pulling from a registry.
 * 4. The engine's stream of progress: one JSON object a line.
 */

import { readdir } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import type Docker from 'dockerode';
import type { ComposeService } from '../../fleet/compose.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { parseImageReference, repositoryOf } from '../../fleet/image-reference.ts';
import { onAbort, pauseFor, raceAbort, SingleFlight } from '../../lib/concurrency.ts';
import type { OperationOptions } from '../engine.ts';
import {
  callEngine,
  engineMessage,
  engineStatus,
  isDiskFull,
  opaque,
  READ_TIMEOUT_MS,
  toDeckhandError,
} from './transport.ts';

/** A build context that is ours (decoys/images.ts provides them). */
export interface ImageContext {
  readonly image: string;
  /** The image of ours that must be there first, or null. */
  readonly parent: string | null;
  /** The context as a tar stream, made anew at each call. */
  readonly tar: () => NodeJS.ReadableStream | Promise<NodeJS.ReadableStream>;
}

export interface ImageContexts {
  /** Undefined for images that are not ours to build. */
  context(image: string): ImageContext | undefined;
}

/** How long an inspection is good for, so that a fleet shares it. */
const FRESH_MS = 10_000;

export class ImageStore {
  readonly #docker: Docker;
  readonly #contexts: ImageContexts;
  readonly #flights = new SingleFlight<string>();
  readonly #known = new Map<string, { readonly id: string; readonly until: number }>();

  constructor(docker: Docker, contexts: ImageContexts) {
    this.#docker = docker;
    this.#contexts = contexts;
  }

  /** Returns the image's id. Throws InvalidImage before anything is sent, ImageUnavailable, BuildFailed or EngineUnreachable. */
  async ensure(image: string, build: ComposeService['build'], options: OperationOptions): Promise<string> {
    parseImageReference(image, 'the image of a container');
    const known = this.#known.get(image);
    if (known && known.until > Date.now()) return known.id;
    return this.#flights.run(image, options, async (signal, tell) => {
      const id = (await this.#idOf(image, signal)) ?? (await this.#make(image, build, signal, tell));
      this.#known.set(image, { id, until: Date.now() + FRESH_MS });
      return id;
    });
  }

  /** To be called when the engine said that an image is not there. */
  forget(image: string): void {
    this.#known.delete(image);
  }

  async #make(
    image: string,
    build: ComposeService['build'],
    signal: AbortSignal,
    onProgress: (step: string) => void,
  ): Promise<string> {
    const context = this.#contexts.context(image);
    if (context) {
      if (context.parent) await this.ensure(context.parent, undefined, { signal, onProgress });
      await buildImage(this.#docker, image, { tar: await context.tar() }, signal, onProgress);
    } else if (build) await buildImage(this.#docker, image, { folder: build }, signal, onProgress);
    else await pullImage(this.#docker, image, signal, onProgress);
    const id = await this.#idOf(image, signal);
    if (id) return id;
    throw new DeckhandError(
      'EngineBusy',
      `image ${image} vanished right after it was made; somebody may be pruning images`,
    );
  }

  #idOf(image: string, signal: AbortSignal): Promise<string | null> {
    const doing = `inspection of image ${image}`;
    return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
      try {
        return (await raceAbort(this.#docker.getImage(image).inspect(), abortSignal)).Id;
      } catch (error) {
        if (engineStatus(error) === 404) return null;
        throw error;
      }
    });
  }
}

// 2. Building

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
  return callEngine(
    { doing: 'inspection of network bridge', signal, timeoutMs: READ_TIMEOUT_MS },
    async (abortSignal) => {
      try {
        await raceAbort(docker.getNetwork('bridge').inspect(), abortSignal);
        return true;
      } catch (error) {
        if (engineStatus(error) === 404) return false;
        throw error;
      }
    },
  );
}

// 3. Pulling

/** Pauses between tries while a registry can't be reached. After the last try it counts as ImageUnavailable. */
const PAUSES_MS: readonly number[] = [1_000, 2_000];
/** A pull without a sign of life for this long is given up as one try. */
const IDLE_MS = 60_000;
const TELL_EVERY_MS = 1_000;

/** The engine's answers after which a further try is pointless: bad name, no access, not there, a redirect. */
const isFinal = (status: number): boolean => status < 500 && status !== 408 && status !== 429;
/** Words of registries and of the engine for the same, where they come as a 500 or inside the stream. */
const FINAL_TEXT =
  /manifest unknown|manifest for .* not found|pull access denied|repository .* not found|name unknown|requested access to the resource is denied|unauthorized|no matching manifest|invalid reference format/i;

/** What the engine wants of a reference; one without a tag means `latest`, never all tags. Throws InvalidImage. */
export function parseReference(image: string): { readonly fromImage: string; readonly tag: string } {
  const reference = parseImageReference(image, 'pull of an image');
  return { fromImage: repositoryOf(reference), tag: reference.digest ?? reference.tag ?? 'latest' };
}

class PullError extends Error {
  override readonly name = 'PullError';
  readonly final: boolean;
  constructor(message: string, final: boolean) {
    super(message);
    this.final = final;
  }
}

function describeProgress(image: string, layers: ReadonlyMap<string, readonly [number, number]>): string {
  let done = 0;
  let total = 0;
  for (const [current, size] of layers.values()) {
    done += current;
    total += size;
  }
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return total > 0 ? `pulling ${image}: ${megabytes(done)} of ${megabytes(total)} MB` : `pulling ${image}`;
}

async function pullOnce(
  docker: Docker,
  image: string,
  signal: AbortSignal,
  onProgress: (step: string) => void,
): Promise<void> {
  const controller = new AbortController();
  const stopListening = onAbort(signal, () => controller.abort());
  const idle = setTimeout(() => controller.abort(), IDLE_MS);
  const layers = new Map<string, readonly [number, number]>();
  let told = 0;
  try {
    const stream = await docker.createImage({
      ...parseReference(image),
      abortSignal: opaque(controller.signal, 'signal'),
    });
    for await (const line of progressLines(stream)) {
      idle.refresh();
      const error = lineError(line);
      if (error) throw new PullError(error, FINAL_TEXT.test(error));
      const { current, total } = line.progressDetail ?? {};
      if (line.id && current !== undefined && total !== undefined) layers.set(line.id, [current, total]);
      if (Date.now() - told < TELL_EVERY_MS) continue;
      told = Date.now();
      onProgress(describeProgress(image, layers));
    }
  } catch (error) {
    signal.throwIfAborted();
    if (controller.signal.aborted) throw new PullError(`nothing came for ${IDLE_MS / 1000} s`, false);
    const status = engineStatus(error);
    if (status === null) throw error;
    throw new PullError(engineMessage(error), isFinal(status) || FINAL_TEXT.test(engineMessage(error)));
  } finally {
    clearTimeout(idle);
    stopListening();
  }
}

/**
 * Throws ImageUnavailable when the registry has no such image, refuses it, or could not be reached in three tries;
 * EngineUnreachable when the engine itself vanishes.
 */
export async function pullImage(
  docker: Docker,
  image: string,
  signal: AbortSignal,
  onProgress: (step: string) => void,
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    onProgress(`pulling ${image}`);
    try {
      return await pullOnce(docker, image, signal, onProgress);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PullError)) throw toDeckhandError(error, `pull of ${image}`);
      const wait = error.final ? undefined : PAUSES_MS[attempt];
      if (wait === undefined) throw unavailable(image, error, attempt + 1);
      onProgress(`pulling ${image}: trying again in ${wait / 1000} s (${error.message})`);
      await pauseFor(wait, signal);
    }
  }
}

function unavailable(image: string, error: PullError, tries: number): DeckhandError {
  if (isDiskFull(error.message))
    return new DeckhandError('DiskFull', `pull of ${image}: the disk is full (${error.message})`, { cause: error });
  const how = error.final ? 'the registry or engine says' : `the registry could not be reached in ${tries} tries:`;
  return new DeckhandError(
    'ImageUnavailable',
    `image ${image} is not on this engine and can't be pulled; ${how} ${error.message}`,
    {
      cause: error,
    },
  );
}

// 4. Progress

export interface ProgressLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** No engine sends longer ones; without a bound, what is read would grow until the process dies. */
const LONGEST_LINE = 4 * 1024 * 1024;

function parse(line: string): ProgressLine[] {
  if (line.trim() === '') return [];
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === 'object' && parsed !== null ? [parsed as ProgressLine] : [{ stream: line }];
  } catch {
    return [{ stream: line }];
  }
}

/** Throws what the stream throws, also when it ends before its time. */
export async function* progressLines(stream: NodeJS.ReadableStream): AsyncGenerator<ProgressLine> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw Object.assign(new Error('a line of progress never ends'), { code: 'EPROTO' });
    for (const line of lines) yield* parse(line);
  }
  yield* parse(rest + decoder.end());
}

/** What the line says went wrong, or null. */
export function lineError(line: ProgressLine): string | null {
  const said: unknown = line.errorDetail?.message ?? line.error ?? null;
  return said === null || typeof said === 'string' ? said : JSON.stringify(said);
}
