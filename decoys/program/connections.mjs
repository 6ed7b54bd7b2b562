/** The open connections of the program: bounded in number, age, silence and bytes. */
import { LIMITS } from './limits.mjs';
import { escapeBytes, log } from './log.mjs';

/** Entries in order of arrival. */
const open = new Set();
let cut = 0;

const normal = (address) => (address ?? '').replace(/^::ffff:/, '');

/** Takes a fresh socket in, at the cost of the oldest one when the house is full. */
export function admit(socket, transport) {
  const peer = normal(socket.remoteAddress);
  const ofPeer = [...open].filter((entry) => entry.peer === peer);
  if (ofPeer.length >= LIMITS.connectionsPerPeer) evict(ofPeer[0]);
  else if (open.size >= LIMITS.connections) evict(open.values().next().value);
  const now = Date.now();
  const entry = {
    socket,
    stream: socket,
    transport,
    peer,
    peerPort: socket.remotePort ?? 0,
    localPort: socket.localPort ?? 0,
    since: now,
    active: now,
    bytes: 0,
    first: Buffer.alloc(0),
    told: false,
    timer: undefined,
  };
  open.add(entry);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    open.delete(entry);
    tell(entry);
  });
  return entry;
}

/** Accounts for what was read; false when the connection has had its share and is gone. */
export function account(entry, chunk) {
  entry.active = Date.now();
  entry.bytes += chunk.length;
  if (!entry.told) {
    if (entry.first.length < LIMITS.firstBytes)
      entry.first = Buffer.concat([entry.first, chunk.subarray(0, LIMITS.firstBytes - entry.first.length)]);
    if (entry.first.length >= LIMITS.firstBytes) tell(entry);
    else entry.timer ??= setTimeout(tell, LIMITS.firstBytesWaitMs, entry);
  }
  if (entry.bytes <= LIMITS.connectionBytes) return true;
  destroy(entry);
  return false;
}

/** Writes the connection's one log line, if it is not written yet. */
function tell(entry) {
  clearTimeout(entry.timer);
  if (entry.told) return;
  entry.told = true;
  log({
    event: 'connection',
    peer_address: entry.peer,
    peer_port: entry.peerPort,
    local_port: entry.localPort,
    transport: entry.transport,
    first_bytes: escapeBytes(entry.first),
  });
  entry.first = Buffer.alloc(0);
}

export function destroy(entry) {
  open.delete(entry);
  entry.stream.destroy();
  entry.socket.destroy();
}

function evict(entry) {
  cut += 1;
  destroy(entry);
}

/** Cuts what is silent or old, and says how many had to make room; once a second. */
function sweep() {
  const now = Date.now();
  for (const entry of open)
    if (now - entry.active > LIMITS.idleMs || now - entry.since > LIMITS.lifetimeMs) destroy(entry);
  if (cut > 0) log({ event: 'full', connections_cut: cut });
  cut = 0;
}

export const startSweeping = () => setInterval(sweep, Math.min(1_000, LIMITS.idleMs));
