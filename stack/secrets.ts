/** The secrets of an instance: made at the first start, kept in `<home>/secrets.json` (0600). What the user set wins. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { readJson, writeJson } from '../lib/files.ts';
import type { StackHome } from './home.ts';

const schema = z.object({ admin_password: z.string().min(12), jwt_secret: z.string().min(32) });

export interface Secrets {
  readonly adminUser: string;
  readonly adminPassword: string;
  readonly jwtSecret: string;
  /** True once: the password was made up just now and has to be shown. */
  readonly passwordIsNew: boolean;
}

/** Kept twice: the database knows the first password only, so one that is lost would lock its owner out. */
export function loadSecrets(home: StackHome, environment: NodeJS.ProcessEnv): Secrets {
  const file = home.path('secrets.json');
  const copy = home.path('secrets.copy.json');
  const saved = readJson(file, schema) ?? readJson(copy, schema);
  const known = saved?.admin_password;
  const kept = {
    admin_password: known ?? randomBytes(18).toString('base64url'),
    jwt_secret: saved?.jwt_secret ?? randomBytes(32).toString('base64url'),
  };
  for (const path of [file, copy]) writeJson(path, kept);
  const given = environment.DECKHAND_ADMIN_PASSWORD;
  return {
    adminUser: environment.DECKHAND_ADMIN_USER || 'admin',
    adminPassword: given || kept.admin_password,
    jwtSecret: environment.DECKHAND_JWT_SECRET || kept.jwt_secret,
    passwordIsNew: !given && known === undefined,
  };
}
