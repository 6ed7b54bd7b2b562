/** Passwords: argon2id. One at a time, since each takes 19 MiB and a core for tens of milliseconds. */
import { hash, verify } from '@node-rs/argon2';

/** The algorithm's number in @node-rs/argon2, whose const enum can't be imported in isolated modules. */
const ARGON2ID = 2;

export interface Passwords {
  hash(password: string): Promise<string>;
  /**
   * True when the password fits. Without a hash (no such user) as much time is spent and the answer is false.
   * `before` runs when its turn has come: what it throws is the answer.
   */
  verify(password: string, passwordHash: string | null, before?: () => void): Promise<boolean>;
}

export function createPasswords(): Passwords {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
  const hashNow = (password: string): Promise<string> => hash(password, { algorithm: ARGON2ID });
  let decoy: Promise<string> | undefined;
  return {
    hash: (password) => inTurn(() => hashNow(password)),
    verify: (password, passwordHash, before) =>
      inTurn(async () => {
        before?.();
        decoy ??= hashNow('a password that nobody has');
        const fits = await verify(passwordHash ?? (await decoy), password);
        return passwordHash !== null && fits;
      }),
  };
}
