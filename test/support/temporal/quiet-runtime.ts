/** The SDK's runtime is one for the process, and so is its logger: in tests, only what is an error is said. */
import { createLogger } from '../../../lib/logger.ts';
import { installRuntime } from '../../../worker/logging.ts';

let quiet = false;

export function quietRuntime(): void {
  if (quiet) return;
  quiet = true;
  process.env.DECKHAND_LOG_LEVEL ??= 'error';
  installRuntime(createLogger('test'));
}
