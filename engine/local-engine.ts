/** The compose engine of this machine, and the pure way from desired deckies to what it is given: for the worker and for agents. */
import { join } from 'node:path';
import { loadBuiltinImages, loadOperatorContexts } from '../decoys/images.ts';
import { type ComposeDocument, composeDocument, type DeckySpec, resolveImages } from '../fleet/compose.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { cutSecrets, secretValues } from '../fleet/secrets.ts';
import type { Logger } from '../lib/logger.ts';
import { createDockerEngine } from './docker/docker-engine.ts';
import { type ComposeEngine, type EngineScope, networkNameOf } from './engine.ts';
import { createSimulatedEngine } from './simulated.ts';

export interface LocalEngineOptions {
  readonly engine: 'docker' | 'simulated';
  readonly dockerHost: string;
  readonly instance: string;
  readonly project: string;
  /** Name of the engine's network; absent: `<project>_lan`. */
  readonly networkName?: string;
  /** State directory: the compose file is written to its `compose/`. */
  readonly home: string;
  readonly cache: string;
  readonly images: 'builtin' | 'catalogue';
  /** An operator's own build contexts. */
  readonly templates: string | null;
  readonly artifactsRoot: string;
}

export interface LocalEngine {
  readonly engine: ComposeEngine;
  /** Pure: from desired deckies to what the engine is given, images resolved. */
  readonly resolve: (deckies: readonly DesiredDecky[]) => {
    document: ComposeDocument;
    deckies: readonly DeckySpec[];
  };
  /** Cuts the secrets of these deckies out of a text (promise 10). */
  readonly cutSecrets: (text: string, deckies: readonly DesiredDecky[]) => string;
}

export async function createLocalEngine(options: LocalEngineOptions, logger: Logger): Promise<LocalEngine> {
  const builtin = await loadBuiltinImages({ cacheDir: options.cache });
  const operatorContext = options.templates ? await loadOperatorContexts(options.templates) : () => undefined;
  const { instance, project, networkName } = options;
  const scope: EngineScope = { instance, project, ...(networkName === undefined ? {} : { networkName }) };
  const engine: ComposeEngine =
    options.engine === 'simulated'
      ? createSimulatedEngine({ scope, stateDir: join(options.home, 'simulated') })
      : createDockerEngine({
          dockerHost: options.dockerHost,
          scope,
          images: builtin,
          composeDir: join(options.home, 'compose'),
          logger,
        });
  const images = {
    mode: options.images,
    baseImage: builtin.baseImage,
    serviceImage: builtin.serviceImage,
    operatorContext,
  } as const;
  return {
    engine,
    resolve: (deckies) => {
      const pure = composeDocument(deckies, {
        networkName: networkNameOf(scope),
        templatesRoot: options.templates ?? 'templates',
        artifactsRoot: options.artifactsRoot,
      });
      const resolved = resolveImages(pure, images);
      const stopped = new Set(deckies.filter((decky) => decky.stopped).map(({ config }) => config.name));
      const specs = resolved.deckies.map((spec) => (stopped.has(spec.decky) ? { ...spec, stopped: true } : spec));
      return { document: resolved.document, deckies: specs };
    },
    cutSecrets: (text, deckies) => cutSecrets(text, secretValues(deckies)),
  };
}
