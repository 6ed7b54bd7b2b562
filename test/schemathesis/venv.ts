/** Schemathesis from the package index. */
import { pythonEnvironment } from '../support/python-environment.ts';

const VERSION = '4.32.5';
/** What decides which requests are made, pinned beside it. */
const PACKAGES = [`schemathesis==${VERSION}`, 'hypothesis==6.170.17', 'jsonschema-rs==0.60.3', 'requests==2.34.2'];

export type Schemathesis = { readonly command: string } | { readonly missing: string };

/** The command, or a sentence why there is none: then the test is skipped. */
export async function schemathesis(): Promise<Schemathesis> {
  const made = await pythonEnvironment({
    name: `Schemathesis ${VERSION}`,
    folder: `schemathesis-${VERSION}`,
    packages: PACKAGES,
    program: 'st',
    check: ['--version'],
  });
  return 'missing' in made ? made : { command: made.program };
}
