/** Sees to it that an image is on the engine: looked up, built or pulled once for all who need it. */
import type Docker from 'dockerode';
import type { ComposeService } from '../../fleet/compose.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { parseImageReference } from '../../fleet/image-reference.ts';
import { raceAbort, SingleFlight } from '../../lib/concurrency.ts';
import type { OperationOptions } from '../engine.ts';
import { callEngine, READ_TIMEOUT_MS } from './call.ts';
import { engineStatus } from './errors.ts';
import { buildImage } from './image-build.ts';
import { pullImage } from './image-pull.ts';

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

/** How long a look at an image is good for, so that a fleet shares it. */
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
    const doing = `look at image ${image}`;
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
