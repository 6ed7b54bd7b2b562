/** Labels on what the engine makes: Compose's own, so that `docker compose` can take over, and ours, which say whose it is. */
import { dirname } from 'node:path';
import type { ComposeService } from '../../fleet/compose.ts';
import type { EngineScope } from '../engine.ts';

export const LABEL = Object.freeze({
  instance: 'deckhand.instance',
  project: 'deckhand.project',
  decky: 'deckhand.decky',
  composeProject: 'com.docker.compose.project',
  composeService: 'com.docker.compose.service',
  composeConfigHash: 'com.docker.compose.config-hash',
  composeImage: 'com.docker.compose.image',
});

/** The Compose whose file format, labels and config hash are followed (docker/compose v2.40.3). */
const COMPOSE_VERSION = '2.40.3';

const SHARED_NETWORK = /^service:(.+)$/;

/** Key of the service whose network namespace this one shares, or null when it has a network of its own. */
export const networkOwner = (service: ComposeService): string | null =>
  SHARED_NETWORK.exec(service.network_mode ?? '')?.[1] ?? null;

/**
 * The service with our labels among its own. They stand in the written compose file too and count for the config hash,
 * so that a container which `docker compose` made anew from that file is still known as ours.
 */
export function withOwnLabels(key: string, service: ComposeService, scope: EngineScope): ComposeService {
  const own = {
    [LABEL.instance]: scope.instance,
    [LABEL.project]: scope.project,
    [LABEL.decky]: networkOwner(service) ?? key,
  };
  return { ...service, labels: { ...service.labels, ...own } };
}

export interface ComposeLabelFacts {
  readonly key: string;
  readonly configHash: string;
  /** `sha256:…` of the image that the container is made of. */
  readonly imageId: string;
  /** Absolute path of the written compose file. */
  readonly composeFile: string;
}

/** Compose's labels for one container; `service` is one that {@link withOwnLabels} gave. */
export function containerLabels(
  service: ComposeService,
  scope: EngineScope,
  facts: ComposeLabelFacts,
): Record<string, string> {
  return {
    ...service.labels,
    [LABEL.composeProject]: scope.project,
    [LABEL.composeService]: facts.key,
    [LABEL.composeConfigHash]: facts.configHash,
    [LABEL.composeImage]: facts.imageId,
    'com.docker.compose.container-number': '1',
    'com.docker.compose.oneoff': 'False',
    'com.docker.compose.depends_on': (service.depends_on ?? [])
      .map((name) => `${name}:service_started:false`)
      .join(','),
    'com.docker.compose.project.config_files': facts.composeFile,
    'com.docker.compose.project.working_dir': dirname(facts.composeFile),
    'com.docker.compose.version': COMPOSE_VERSION,
  };
}

/** Whose a container or network is, in words, from its labels. */
export function ownerInWords(labels: Readonly<Record<string, string>> | undefined): string {
  const instance = labels?.[LABEL.instance];
  if (instance) return `Deckhand instance ${instance}, project ${labels?.[LABEL.project] ?? 'unknown'}`;
  const project = labels?.[LABEL.composeProject];
  return project
    ? `the Compose project ${project}, without a label of Deckhand`
    : 'somebody else, without a label of Deckhand';
}
