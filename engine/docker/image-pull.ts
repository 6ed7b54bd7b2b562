/** Pulls an image from its registry. */

import type Docker from 'dockerode';
import { DeckhandError } from '../../fleet/errors.ts';
import { parseImageReference, repositoryOf } from '../../fleet/image-reference.ts';
import { onAbort, pauseFor } from '../../lib/concurrency.ts';
import { opaque } from '../../lib/opaque.ts';
import { engineMessage, engineStatus, isDiskFull, toDeckhandError } from './errors.ts';
import { lineError, progressLines } from './json-lines.ts';

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
