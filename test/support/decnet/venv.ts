/** DECNET 1.0.0 from the package index. */
import { pythonEnvironment } from '../python-environment.ts';

/** Versions that are known to work together with it. */
const PACKAGES = [
  'decnet==1.0.0',
  'SQLAlchemy==2.0.49',
  'sqlmodel==0.0.38',
  'greenlet==3.4.0',
  'fastapi==0.135.3',
  'starlette==1.3.1',
  'uvicorn==0.44.0',
  'pydantic==2.12.5',
  'anyio==4.13.0',
  'httpx==0.28.1',
];

export type Environment = { readonly python: string } | { readonly missing: string };

/** The environment's Python, or why there is none: then the test is skipped, and the bench leaves DECNET out, saying so. */
export async function decnetEnvironment(): Promise<Environment> {
  const made = await pythonEnvironment({
    name: 'DECNET 1.0.0',
    folder: 'decnet-1.0.0',
    packages: PACKAGES,
    program: 'python',
    check: ['-c', 'import decnet.agent.app'],
    env: { DECNET_MODE: 'agent' },
  });
  return 'missing' in made ? made : { python: made.program };
}
