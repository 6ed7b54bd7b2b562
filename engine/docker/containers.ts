/** Creating, starting and removing single containers. */
import type Docker from 'dockerode';
import { DeckhandError } from '../../fleet/errors.ts';
import { pauseFor, type Semaphore } from '../../lib/concurrency.ts';
import { type EngineScope, networkNameOf } from '../engine.ts';
import { LABEL, ownerInWords } from './create-options.ts';
import type { CurrentContainer } from './observe.ts';
import {
  type CallOptions,
  CHANGE_TIMEOUT_MS,
  callEngine,
  engineMessage,
  engineStatus,
  READ_TIMEOUT_MS,
  STALE_ENDPOINT,
} from './transport.ts';

/** A removal that is under way elsewhere, or that the engine fumbled, is given this many looks. */
const REMOVAL_TRIES = 4;
const REMOVAL_PAUSE_MS = 400;
/** A stale container of ours may hold the name; it is replaced, but not for ever. */
const CREATE_TRIES = 5;
const CREATE_PAUSE_MS = 400;
/**
 * The engine goes on with a creation whose caller has left, and nobody can see the container before it is made: whoever removes
 * a decky that was being created would miss it. It takes less than a second; a worker that stops has 15 s left for it.
 */
const CREATE_GRACE_MS = 10_000;
/** How long a program has to end by itself before it is killed. */
const STOP_SECONDS = 5;

export class Containers {
  readonly #docker: Docker;
  readonly #scope: EngineScope;
  readonly #semaphore: Semaphore;
  readonly #unstartable = new Set<string>();

  constructor(docker: Docker, scope: EngineScope, semaphore: Semaphore) {
    this.#docker = docker;
    this.#scope = scope;
    this.#semaphore = semaphore;
  }

  /**
   * Returns the id. A container of ours that holds the name (left by a killed attempt) is replaced; another's is left alone
   * and NameTaken says whose it is. EngineBusy where nobody can be seen to hold it: the engine reserves the name of a
   * container before it can be inspected, so a creation that was cut off a moment ago holds its name unseen.
   */
  async create(name: string, body: Docker.ContainerCreateOptions, signal?: AbortSignal): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const call = { ...this.#change(`creation of container ${name}`, signal), graceMs: CREATE_GRACE_MS };
        return await callEngine(call, async (abortSignal) => {
          // Without `_query`, dockerode would put the whole body, secrets and all, into the URL too.
          const options = { _query: { name }, _body: body, abortSignal };
          return (await this.#docker.createContainer(options as Docker.ContainerCreateOptions)).id;
        });
      } catch (error) {
        if (!(error instanceof DeckhandError) || error.code !== 'NameTaken') throw error;
        const holderWas = await this.#makeWay(name, error, signal);
        if (attempt >= CREATE_TRIES) throw new DeckhandError('EngineBusy', error.message, { cause: error.cause });
        if (holderWas === 'unseen') await pauseFor(CREATE_PAUSE_MS * attempt, signal);
      }
    }
  }

  /**
   * An engine that was killed while it started a container may never start that one again: containerd has a task of that id, and
   * every start answers 500. So whatever did not start by a fault of the engine's is made anew next time ({@link mark}).
   */
  async start(id: string, name: string, signal?: AbortSignal): Promise<void> {
    try {
      await callEngine(this.#change(`start of container ${name}`, signal), (abortSignal) =>
        this.#docker.getContainer(id).start({ abortSignal }),
      );
      this.#unstartable.delete(id);
    } catch (error) {
      // It runs already: an attempt that was taken for dead, or the engine's restart policy, was faster.
      if (error instanceof DeckhandError && engineStatus(error.cause) === 304) return;
      const isFault = error instanceof DeckhandError && error.code === 'EngineBusy';
      if (isFault && (engineStatus(error.cause) ?? 0) >= 500) this.#unstartable.add(id);
      if (isFault && STALE_ENDPOINT.test(engineMessage(error.cause))) await this.#clearEndpoint(name, signal);
      throw error;
    }
  }

  /** Of a name that is on the network without a container of it. What fails here, the next start says. */
  async #clearEndpoint(name: string, signal: AbortSignal | undefined): Promise<void> {
    const network = this.#docker.getNetwork(networkNameOf(this.#scope));
    await callEngine(this.#change(`clearing of the endpoint of ${name}`, signal), (abortSignal) =>
      network.disconnect({ Container: name, Force: true, abortSignal }),
    ).catch(() => signal?.throwIfAborted());
  }

  /** Stops and starts it: its program begins again, in the network that its base has now. */
  async restart(id: string, name: string, signal?: AbortSignal): Promise<void> {
    await callEngine(this.#change(`restart of container ${name}`, signal), (abortSignal) =>
      this.#docker.getContainer(id).restart({ t: STOP_SECONDS, abortSignal }),
    );
  }

  /** `current` with those marked that the engine could not start. */
  mark(current: readonly CurrentContainer[]): readonly CurrentContainer[] {
    if (this.#unstartable.size === 0) return current;
    return current.map((one) => (this.#unstartable.has(one.id) ? { ...one, unstartable: true } : one));
  }

  /** One that is gone already, or does not run, is as good. */
  async stop(id: string, name: string, signal?: AbortSignal): Promise<void> {
    try {
      await callEngine(this.#change(`stop of container ${name}`, signal), (abortSignal) =>
        this.#docker.getContainer(id).stop({ t: STOP_SECONDS, abortSignal }),
      );
    } catch (error) {
      const status = error instanceof DeckhandError ? engineStatus(error.cause) : null;
      if (status !== 304 && status !== 404) throw error;
    }
  }

  /** Removes by force, anonymous volumes included; one that is gone already is as good. */
  async remove(id: string, name: string, signal?: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await callEngine(this.#change(`removal of container ${name}`, signal), (abortSignal) =>
          this.#docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
        );
        this.#unstartable.delete(id);
        return;
      } catch (error) {
        const status = error instanceof DeckhandError ? engineStatus(error.cause) : null;
        if (status === 404) return;
        // Seen: 409 while another removes it, 500 "could not kill … did not receive an exit event". Both pass.
        if (attempt >= REMOVAL_TRIES || (status !== 409 && status !== 500)) throw error;
        await pauseFor(REMOVAL_PAUSE_MS * attempt, signal);
      }
    }
  }

  async #makeWay(name: string, taken: DeckhandError, signal: AbortSignal | undefined): Promise<'removed' | 'unseen'> {
    const holder = await callEngine(
      { doing: `inspection of container ${name}`, signal, timeoutMs: READ_TIMEOUT_MS },
      async (abortSignal) => {
        try {
          return await this.#docker.getContainer(name).inspect({ abortSignal });
        } catch (error) {
          if (engineStatus(error) === 404) return null;
          throw error;
        }
      },
    );
    if (!holder) return 'unseen';
    const labels = holder.Config.Labels ?? {};
    if (labels[LABEL.instance] === this.#scope.instance && labels[LABEL.project] === this.#scope.project) {
      await this.remove(holder.Id, name, signal);
      return 'removed';
    }
    throw new DeckhandError(
      'NameTaken',
      `container name ${name} belongs to ${ownerInWords(labels)}; it was not touched. ` +
        'Rename the decky, or remove that container.',
      { cause: taken },
    );
  }

  #change(doing: string, signal: AbortSignal | undefined): CallOptions {
    return { doing, signal, timeoutMs: CHANGE_TIMEOUT_MS, semaphore: this.#semaphore };
  }
}
