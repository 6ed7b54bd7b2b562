import { setTimeout as pause } from 'node:timers/promises';

type Found<T> = Exclude<T, null | undefined | false>;

/** What `look` finds, once it finds something; fails after `limitMs`, saying what was waited for. */
export async function until<T>(what: string, look: () => T | Promise<T>, limitMs = 30_000): Promise<Found<T>> {
  for (const end = Date.now() + limitMs; ; await pause(50)) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as Found<T>;
    if (Date.now() >= end) throw new Error(`waited in vain for ${what}, ${limitMs / 1_000} s`);
  }
}
