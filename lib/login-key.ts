/**
 * What shows that a login comes from the owner of the installation: derived from the secret that signs access tokens, and
 * written to the stack's own file beside the administrator's password. Who has it is not made to wait for the wrong
 * passwords of others; it opens nothing by itself.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const LOGIN_KEY_HEADER = 'deckhand-login-key';

export const loginKeyOf = (signingSecret: string): string =>
  createHmac('sha256', signingSecret).update('deckhand login key').digest('base64url');

export function isLoginKey(given: string | undefined, signingSecret: string): boolean {
  const [mine, theirs] = [Buffer.from(loginKeyOf(signingSecret)), Buffer.from(given ?? '')];
  return mine.length === theirs.length && timingSafeEqual(mine, theirs);
}
