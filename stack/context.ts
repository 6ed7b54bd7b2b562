/** What each provider is given, and what it gives back. */
import type { Say } from './binaries.ts';
import type { PortBook } from './claims.ts';
import type { StackHome } from './home.ts';

export interface StackContext {
  readonly home: StackHome;
  readonly environment: NodeJS.ProcessEnv;
  readonly ports: PortBook;
  /** Whether the process of that name survived the last supervisor and will be taken over (its port stays). */
  readonly survives: (name: string) => boolean;
  readonly sayFor: (part: string) => Say;
  /** Answers a question on the terminal; true at once with --yes or without a terminal. */
  readonly confirm: (question: string) => Promise<boolean>;
  /** Test servers: nothing has to outlive a power cut, so nothing waits for the disk. */
  readonly disposable: boolean;
}

/** A process to run and keep running. */
/** What a process says it misses, in a sentence for the screen. */
export class NotReady extends Error {}

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the supervisor's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  readonly stopSignal?: NodeJS.Signals;
  /** Milliseconds until SIGKILL. */
  readonly stopTimeoutMs?: number;
  /** True for servers: a healthy one that survived a killed supervisor goes on. Programs of ours start anew, with the code of today. */
  readonly adoptable: boolean;
  /** True: an end with 0 is meant, and it is not started again. */
  readonly mayEnd?: boolean;
  /** Before every start: removes what a killed predecessor left in the way. */
  readonly prepare?: () => Promise<void> | void;
  /** True once it does its work. Asked again and again until then. Throws NotReady where it says itself what it misses. */
  readonly ready: () => Promise<boolean>;
  /** Milliseconds for the first readiness. */
  readonly startTimeoutMs?: number;
  /** Before it is stopped for good, while it still answers. */
  readonly beforeStop?: () => Promise<void>;
  /** After it was stopped for good. */
  readonly cleanUp?: () => void;
}

/** `process` is null for a server that is somebody else's and only used. */
export interface Provided<T> {
  readonly process: ProcessSpec | null;
  /** Where it came from, for the screen: "embedded 1.5.1", "external, TEMPORAL_ADDRESS". */
  readonly origin: string;
  readonly value: T;
}
