/** Thrown by a protocol on input that makes no sense to it; the connection is closed, nothing is said. */
export class ProtocolError extends Error {}
