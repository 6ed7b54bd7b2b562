/** Listening to an AbortSignal that many share: one signal may cancel a whole fleet's calls. */
import { setMaxListeners } from 'node:events';

/** Returns the function that stops listening. A signal that was aborted before calls back at once. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal) return () => undefined;
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** Throws the signal's reason as soon as it is aborted; the promise goes on by itself. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(stop);
  });
}

/** A pause that an abort ends, with the signal's own reason. */
export function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return raceAbort(over, signal).finally(() => clearTimeout(timer));
}
