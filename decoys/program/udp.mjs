/** UDP listeners: one log line per datagram, answers bounded in size and in number, so that a forged sender gains nothing. */
import { createSocket } from 'node:dgram';
import { LIMITS } from './limits.mjs';
import { escapeBytes, log } from './log.mjs';

let second = 0;
let answered = 0;
const perPeer = new Map();

/** Whether one more answer may go to that peer in this second. */
function mayAnswer(peer) {
  const now = Math.floor(Date.now() / 1_000);
  if (now !== second) {
    second = now;
    answered = 0;
    perPeer.clear();
  }
  const ofPeer = perPeer.get(peer) ?? 0;
  if (answered >= LIMITS.udpAnswersPerSecond || ofPeer >= LIMITS.udpAnswersPerPeerPerSecond) return false;
  answered += 1;
  perPeer.set(peer, ofPeer + 1);
  return true;
}

/**
 * Listens on a port. `listener.answer(datagram, peer, limit)` returns the answer, at most `limit` bytes, or undefined.
 * Resolves with the bound port and a `close`; rejects with the system's error.
 */
export function listenUdp(listener, port, host) {
  const socket = createSocket('udp4');
  socket.on('message', (datagram, peer) => {
    log({
      event: 'exchange',
      peer_address: peer.address,
      peer_port: peer.port,
      local_port: socket.address().port,
      transport: 'udp',
      first_bytes: escapeBytes(datagram.subarray(0, LIMITS.firstBytes)),
    });
    try {
      const limit = datagram.length * LIMITS.udpFactor;
      const answer = listener.answer(datagram, peer, limit);
      // Port 0 can't be answered: send() would throw for what is only a forged datagram.
      if (!answer || answer.length > limit || peer.port === 0 || !mayAnswer(peer.address)) return;
      socket.send(answer, peer.port, peer.address, () => {});
    } catch (error) {
      log({ event: 'error', message: `${error.name}: ${error.message}` });
    }
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, address: host, exclusive: true }, () => {
      socket.off('error', reject);
      socket.on('error', (error) => log({ event: 'error', message: `udp ${port}: ${error.code ?? error.name}` }));
      for (const group of listener.groups ?? []) joinGroup(socket, group);
      resolve({ port: socket.address().port, close: () => new Promise((closed) => socket.close(closed)) });
    });
  });
}

/** Multicast is an extra: a network without it still has the unicast questions. */
function joinGroup(socket, group) {
  try {
    socket.addMembership(group);
  } catch (error) {
    log({ event: 'note', message: `multicast group ${group} can't be joined: ${error.code ?? error.message}` });
  }
}
