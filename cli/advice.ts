/** What to do about a refusal, where the master's own sentence does not say it. Pure. */
import { type ErrorCode, isErrorCode } from '../fleet/errors.ts';

const ADVICE: Partial<Record<ErrorCode, string>> = {
  DeckyExists:
    'Deploy with --add-missing to leave out what is there, with --replace to make the fleet what the file says, or take the decky down first.',
  AddressInUse: 'See who has it: `deckhand deckies`.',
  DeckyBusy: 'Wait until that operation has ended: `deckhand deckies` shows it.',
  DeploymentLimit: 'Ask for fewer deckies, or raise the limit (PUT /api/v1/config/deployment-limit).',
  NetworkConflict:
    'Name net, gw and interface in [general], or leave them out for a fleet that exists; see `deckhand doctor`.',
  IdempotencyKeyReused: 'Use a new key: the body is another one.',
  HostExists: 'See what there is: `deckhand host list`.',
  HostBusy: 'Take its deckies down first: `deckhand host drain NAME`.',
  Forbidden: 'Ask as an administrator.',
  NotFound: 'See what there is: `deckhand deckies`, `deckhand status`, `deckhand host list`.',
};

export function adviceFor(code: string | null, message: string): string | null {
  if (/password change required/i.test(message))
    return 'Change it first: POST /api/v1/auth/change-password with old_password and new_password.';
  return code !== null && isErrorCode(code) ? (ADVICE[code] ?? null) : null;
}
