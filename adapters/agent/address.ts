/** Where an agent is, and how it is known. */
export interface AgentAddress {
  readonly hostUuid: string;
  readonly name: string;
  /** IP or DNS name. */
  readonly address: string;
  readonly port: number;
  /** Accepted SHA-256s of its certificate, lowercase hex: the current one, and the one being renewed. */
  readonly fingerprints: readonly string[];
}

/** `host h1 (192.0.2.7:8765)`, for sentences. */
export const placeOf = (host: AgentAddress): string => {
  const address = host.address.includes(':') ? `[${host.address}]` : host.address;
  return `host ${host.name} (${address}:${host.port})`;
};
