/**
 * What one decoy may spend on whoever talks to it. Chosen for a container of a few MB: 256 connections that each fill
 * their buffers (16 KiB read, 256 KiB unsent at the very worst) stay below 70 MB, and typical ones below 5 MB.
 */
const positive = (name, otherwise) => {
  const value = Number(process.env[name]);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
};

export const LIMITS = Object.freeze({
  /** Open at the same time; a newcomer over the limit takes the place of the oldest, so that a flood never locks the door. */
  connections: 256,
  connectionsPerPeer: 64,
  /** Read from one connection in its life. */
  connectionBytes: 1024 * 1024,
  /** Without a byte from the peer; DECOY_IDLE_MS and DECOY_LIFETIME_MS are for tests. */
  idleMs: positive('DECOY_IDLE_MS', 30_000),
  lifetimeMs: positive('DECOY_LIFETIME_MS', 300_000),
  /** Written but not yet taken by the peer; beyond it the connection is cut. */
  unsentBytes: 256 * 1024,
  lineBytes: 8 * 1024,
  frameBytes: 16 * 1024,
  /** Of each connection or datagram, in its log line; told once they are complete or `firstBytesWaitMs` after the first. */
  firstBytes: 256,
  firstBytesWaitMs: 1_000,
  /** A UDP answer is at most so many times its question, so that a forged sender gains nothing. */
  udpFactor: 4,
  udpAnswersPerSecond: 400,
  udpAnswersPerPeerPerSecond: 40,
  /** Log lines waiting for a slow reader; more are dropped and counted. */
  logLines: 1_000,
});
