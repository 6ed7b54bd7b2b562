/** The compose engine of this machine, and the pure way from desired deckies to what it is given. */
import { join } from 'node:path';
import type { ComposeDependencies } from '../activities/compose.ts';
import { createDockerEngine } from '../adapters/docker/docker-engine.ts';
import type { ComposeEngine } from '../adapters/docker/engine.ts';
import type { Logger } from '../adapters/logger.ts';
import { createSimulatedEngine } from '../adapters/simulated/engine.ts';
import { loadBuiltinImages, loadOperatorContexts } from '../decoys/images.ts';
import { composeDocument } from '../fleet/compose.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { resolveImages } from '../fleet/resolve-images.ts';
import { cutSecrets, secretValues } from '../fleet/secrets.ts';
import type { WorkerConfig } from './config.ts';

export type LocalEngine = Pick<ComposeDependencies, 'engine' | 'resolve' | 'cutSecrets'>;

export async function createLocalEngine(config: WorkerConfig, logger: Logger): Promise<LocalEngine> {
  const builtin = await loadBuiltinImages({ cacheDir: config.cache });
  const operatorContext = config.templates ? await loadOperatorContexts(config.templates) : () => undefined;
  const scope = { instance: config.instance, project: config.project };
  const engine: ComposeEngine =
    config.engine === 'simulated'
      ? createSimulatedEngine({ scope, stateDir: join(config.home, 'simulated') })
      : createDockerEngine({
          dockerHost: config.dockerHost,
          scope,
          images: builtin,
          composeDir: join(config.home, 'compose'),
          logger,
        });
  const images = {
    mode: config.images,
    baseImage: builtin.baseImage,
    serviceImage: builtin.serviceImage,
    operatorContext,
  } as const;
  return {
    engine,
    resolve: (deckies: readonly DesiredDecky[]) =>
      resolveImages(
        composeDocument(deckies, {
          networkName: `${config.project}_lan`,
          templatesRoot: config.templates ?? 'templates',
          artifactsRoot: config.artifactsRoot,
        }),
        images,
      ),
    cutSecrets: (text, deckies) => cutSecrets(text, secretValues(deckies)),
  };
}
