/** The first admin of an installation, from the environment, or with a password that is printed once. */
import { randomBytes } from 'node:crypto';
import { hash } from '@node-rs/argon2';
import type { Users } from '../adapters/postgres/users.ts';
import type { ApiConfig } from './config.ts';

type AdminConfig = Pick<
  ApiConfig,
  'DECKHAND_ADMIN_USER' | 'DECKHAND_ADMIN_PASSWORD' | 'DECKHAND_ADMIN_MUST_CHANGE_PASSWORD'
>;

/** Does nothing when there are users. `print` gets the one line that shows a made-up password. */
export async function ensureFirstAdmin(
  users: Users,
  config: AdminConfig,
  print: (line: string) => void,
): Promise<void> {
  if ((await users.list()).length > 0) return;
  const username = config.DECKHAND_ADMIN_USER;
  const password = config.DECKHAND_ADMIN_PASSWORD ?? randomBytes(18).toString('base64url');
  const created = await users.createFirst({
    username,
    password_hash: await hash(password),
    role: 'admin',
    must_change_password: config.DECKHAND_ADMIN_MUST_CHANGE_PASSWORD,
  });
  if (created && config.DECKHAND_ADMIN_PASSWORD === undefined)
    print(`First admin: user ${username}, password ${password} (shown this once)`);
}
