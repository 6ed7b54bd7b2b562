/** The same fan-out as a deployment over hosts, in the fewest lines that Temporal needs: once empty, once with the outside work. */
import { defineSignal } from '@temporalio/workflow';

export const BARE_TASK_QUEUE = 'deckhand-bench-bare';
export const FLEET_WORKFLOW = 'bareFleet';

export interface FleetInput {
  readonly operationId: string;
  readonly hosts: readonly string[];
  /** With dispatch over mutual TLS, heartbeats, and rows; else all activities are empty. */
  readonly outside: boolean;
}

export interface HostInput {
  readonly operationId: string;
  readonly host: string;
  readonly outside: boolean;
}

export const hostWorkflowId = (operationId: string, host: string): string => `bare/${operationId}/${host}`;

export interface Report {
  readonly rows: readonly { readonly id: string; readonly decky: string; readonly status: string }[];
}

export const HEARTBEAT = 'heartbeat';
export const heartbeatSignal = defineSignal<[Report]>(HEARTBEAT);

export interface EmptyActivities {
  nothing(): Promise<void>;
  /** Sends the one signal. */
  tell(input: { workflowId: string }): Promise<void>;
}

export interface OutsideActivities {
  /** Ids of the host's rows. */
  rowsOf(input: HostInput): Promise<string[]>;
  /** Rows become running, the order goes to the agent. */
  dispatch(input: HostInput): Promise<void>;
  /** How many of the rows are still open. */
  openRows(input: HostInput): Promise<number>;
  /** Rows become what was reported. */
  finish(input: Report): Promise<void>;
}
