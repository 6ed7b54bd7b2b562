/**
 * From the pure compose document to the one that runs: which image each container really gets (design, section 9).
 *
 * `builtin`: base containers of a distro of the catalogue get the built-in base image, services of the catalogue the
 * built-in decoy. `catalogue`: base containers keep their image, and services need a context of the operator; one without
 * gets an image name under `.invalid`, which no registry can serve, so that this decky fails with a name that says why
 * instead of the whole request, and no stranger's image is pulled in its place.
 * In both modes an operator's own context wins, and the image of a custom service is never substituted.
 */
import { isDistroImage } from './catalog.ts';
import { SERVICE_LABELS } from './compose.ts';
import type { ComposeDocument, ComposeService, DeckySpec } from './compose-types.ts';
import { parseImageReference } from './image-reference.ts';

export interface ImageSources {
  /** DECKHAND_IMAGES. */
  readonly mode: 'builtin' | 'catalogue';
  /** `deckhand/base:<hash>`. */
  readonly baseImage: string;
  /** `deckhand/<service>:<hash>`; undefined where there is no built-in decoy. */
  readonly serviceImage: (service: string) => string | undefined;
  /** The operator's own context folder for the service (DECKHAND_TEMPLATES), with the tag for its image. */
  readonly operatorContext: (service: string) => { readonly context: string; readonly image: string } | undefined;
}

export interface ResolvedImages {
  readonly document: ComposeDocument;
  readonly deckies: readonly DeckySpec[];
}

/** The image of a service that nobody can build. */
export const missingImage = (service: string): string => `deckhand.invalid/${service}:no-build-context`;

function resolveBase(base: ComposeService, images: ImageSources): ComposeService {
  const substitute = images.mode === 'builtin' && base.image !== undefined && isDistroImage(base.image);
  return substitute ? { ...base, image: images.baseImage } : base;
}

function resolveService(definition: ComposeService, service: string, images: ImageSources): ComposeService {
  const { build, volumes, ...rest } = definition;
  // Without a build it is a custom service.
  if (!build) return definition;
  const own = images.operatorContext(service);
  if (own)
    return { image: own.image, build: { ...build, context: own.context }, ...rest, ...(volumes ? { volumes } : {}) };
  const builtIn = images.mode === 'builtin' ? images.serviceImage(service) : undefined;
  // Built-in decoys log to stdout and read no files, and Docker would make the missing directories of a mount on the
  // host, as root: the mounts stay in the pure document only.
  return { image: builtIn ?? missingImage(service), ...rest };
}

const ownerOf = (definition: ComposeService): string | undefined => definition.labels?.[SERVICE_LABELS.decky];
const serviceOf = (definition: ComposeService): string => definition.labels?.[SERVICE_LABELS.service] ?? '';

/** Resolves every image, and splits the document by decky: base first, then its services in order. */
export function resolveImages(document: ComposeDocument, images: ImageSources): ResolvedImages {
  const resolved = Object.entries(document.services).map(([key, definition]): [string, ComposeService] => [
    key,
    ownerOf(definition) === undefined
      ? resolveBase(definition, images)
      : resolveService(definition, serviceOf(definition), images),
  ]);
  const services = new Map<string, [string, ComposeService][]>();
  for (const entry of resolved) {
    const owner = ownerOf(entry[1]);
    if (owner !== undefined) services.set(owner, [...(services.get(owner) ?? []), entry]);
  }
  const deckies = resolved
    .filter(([, definition]) => ownerOf(definition) === undefined)
    .map(([decky, base]): DeckySpec => {
      const own = services.get(decky) ?? [];
      return {
        decky,
        keys: [decky, ...own.map(([key]) => key)],
        services: Object.fromEntries([[decky, base], ...own]),
      };
    });
  return { document: { ...document, services: Object.fromEntries(resolved) }, deckies };
}

/**
 * Throws InvalidImage for the first image of the decky that is no reference. Asked before anything of the decky is touched,
 * and for one decky at a time: an order's other deckies have nothing to do with it.
 */
export function assertImages({ services }: DeckySpec): void {
  for (const { container_name, image, build } of Object.values(services)) {
    if (image !== undefined) parseImageReference(image, `image of container ${container_name}`);
    const base = build?.args?.BASE_IMAGE;
    if (base !== undefined) parseImageReference(base, `build_base of container ${container_name}`);
  }
}
