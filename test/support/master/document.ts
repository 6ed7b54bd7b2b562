/** Holds what the API answers against its own OpenAPI document: every status, content type and body that a test sees must stand there. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Media {
  readonly schema?: object;
  readonly example?: unknown;
}
export interface DocumentedAnswer {
  readonly description?: string;
  readonly content?: Readonly<Record<string, Media>>;
}
export interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema?: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, DocumentedAnswer>>;
}
export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: object;
}

/** As a client gets it. */
export const descriptionOf = (document: object): Description => JSON.parse(JSON.stringify(document));

export interface SeenAnswer {
  readonly status: number;
  readonly contentType: string | null;
  readonly text: string;
}

const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);
/** An event stream is no JSON; its reader has tests of its own. */
const isJson = (type: string): boolean => type === 'application/json';

export interface Checker {
  /** A sentence for an answer that the document does not have, else null. */
  problem(method: string, url: string, answer: SeenAnswer): string | null;
  /** What is wrong with an example, else null. */
  exampleProblem(media: Media): string | null;
}

const asPattern = (path: string): RegExp =>
  new RegExp(`^${path.replace(/[.\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}$`);

export function createChecker(description: Description): Checker {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false });
  ajv.addSchema({ $id: 'openapi', components: description.components ?? {} });
  const compiled = new Map<object, ValidateFunction>();
  // Those without parameters first: `/deckies/lifecycle` is no decky.
  const paths = Object.keys(description.paths).sort((a, b) => a.split('{').length - b.split('{').length);
  const patterns = paths.map((path) => ({ path, pattern: asPattern(path) }));

  function mismatch(schema: object, value: unknown): string | null {
    let validate = compiled.get(schema);
    if (validate === undefined) {
      const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/'));
      validate = ajv.compile(absolute);
      compiled.set(schema, validate);
    }
    return validate(value) ? null : ajv.errorsText(validate.errors);
  }

  function problem(method: string, url: string, { status, contentType, text }: SeenAnswer): string | null {
    const { pathname } = new URL(url, 'http://master');
    const path = patterns.find(({ pattern }) => pattern.test(pathname))?.path;
    const operation = path === undefined ? undefined : description.paths[path]?.[method.toLowerCase()];
    const answered = `${method} ${path ?? pathname} answered ${status}`;
    if (!METHODS.has(method)) return null;
    // The API refuses what it has no route for, and bodies that are no JSON, before it looks for one.
    if (operation === undefined)
      return [401, 404, 405, 415, 422, 503].includes(status) ? null : `${answered}: no such operation is described`;
    const described = operation.responses[String(status)];
    if (described === undefined) return `${answered}, which its description does not have: ${text.slice(0, 300)}`;
    const [type = ''] = (contentType ?? '').split(';');
    if (described.content === undefined) return text === '' ? null : `${answered} with a body; none is described`;
    const schema = described.content[type]?.schema;
    if (schema === undefined) return `${answered} as ${type || 'nothing'}, which its description does not have`;
    const wrong = isJson(type) ? mismatch(schema, JSON.parse(text)) : null;
    return wrong && `${answered} with another body than described: ${wrong}: ${text.slice(0, 300)}`;
  }

  return {
    problem,
    exampleProblem: ({ schema, example }) => (schema === undefined ? 'no schema' : mismatch(schema, example)),
  };
}
