/**
 * What a parent says to the process of simulated agents, and what that answers: JSON, a line each, by standard input and
 * output. The first line is the {@link Setup}. The process ends when its standard input closes.
 */

/**
 * `ready`: works and reports. `silent`: takes orders, never gets done, never reports. `lost-delta`: gets done, its reports are
 * lost with its disk. `hold`: gets done, keeps its reports until it is told to push. `dead`: nothing listens.
 */
export type Mode = 'ready' | 'silent' | 'lost-delta' | 'hold' | 'dead';

export interface AgentSetup {
  readonly hostUuid: string;
  readonly name: string;
  readonly mode?: Mode;
}

export interface Setup {
  /** Holds `ca.crt`, and `<hostUuid>/worker.crt` and `worker.key` of each agent. */
  readonly directory: string;
  readonly agents: readonly AgentSetup[];
  /** Until an order is answered; DECNET's stand-ins take 50 ms. */
  readonly answerMs?: number;
  /** From an order to its reports. */
  readonly workMs?: number;
  /** Between periodic heartbeats; 0: none. */
  readonly heartbeatMs?: number;
}

export interface Limits {
  /** Milliseconds until the connection is made, TLS included. */
  readonly connectMs: number;
  /** Milliseconds from the request to its answer. */
  readonly answerMs: number;
}

export type Command =
  /** Where reports go: `https://host:port`. Connections to where they went before are closed. */
  | { readonly do: 'report-to'; readonly url: string }
  /** Closes all connections, as after a long pause. */
  | { readonly do: 'drop' }
  /** What agents in mode `hold` keep, all at the same moment, one try each. */
  | { readonly do: 'push'; readonly limits: Limits }
  /** Makes up a status of so many deckies for every agent, without an order. */
  | { readonly do: 'pretend'; readonly deckies: number }
  /** Heartbeats as fast as they are answered, one at a time for each of the first `agents` agents. */
  | { readonly do: 'beat'; readonly agents: number; readonly ms: number; readonly changed: boolean }
  | { readonly do: 'counts' };

/** How requests ended, by status code, or `connect`, `answer` (limits), `error`. */
export type Outcomes = Readonly<Record<string, number>>;

export interface Counts {
  readonly orders: number;
  readonly reports: Outcomes;
}

export interface Answers {
  readonly 'report-to': Record<string, never>;
  readonly drop: Record<string, never>;
  readonly push: { readonly outcomes: Outcomes; readonly seconds: number };
  readonly pretend: Record<string, never>;
  readonly beat: { readonly outcomes: Outcomes; readonly seconds: number };
  readonly counts: Counts;
}

export interface Ready {
  /** By host; 0 for a dead one. */
  readonly ports: Readonly<Record<string, number>>;
}

/** A line of standard output. */
export type Line =
  | { readonly ready: Ready }
  | { readonly answer: Answers[keyof Answers] }
  | { readonly failure: string };
