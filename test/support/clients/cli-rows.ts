/** Rows and deckies as the API gives them, for tests of the command. */
import type { DeploymentDetail, FleetDecky, RowView } from '../../../cli/master.ts';
import { countByStatus } from '../../../cli/rows.ts';

export const T0 = '2026-11-24T06:00:00.000000Z';
export const at = (seconds: number): string => new Date(Date.parse(T0) + seconds * 1000).toISOString();

export function row(name: string, status: RowView['status'], more: Partial<RowView> = {}): RowView {
  const ended = status === 'succeeded' || status === 'failed';
  return {
    id: `row-${name}`,
    decky_name: name,
    host_uuid: null,
    operation: 'deploy',
    status,
    step: null,
    attempt: 1,
    error: status === 'failed' ? 'ContainerExited: web-01-http exited with code 3\nlast lines:\n  no such file' : null,
    started_at: T0,
    updated_at: at(3.2),
    completed_at: ended ? at(3.2) : null,
    ...more,
  };
}

export function deployment(rows: readonly RowView[], more: Partial<DeploymentDetail> = {}): DeploymentDetail {
  const open = rows.some((one) => one.completed_at === null);
  return {
    deployment_id: 'd-1',
    kind: 'deploy',
    state: 'accepted',
    outcome: open ? null : 'succeeded',
    username: 'admin',
    created_at: T0,
    ended_at: open ? null : at(4),
    counts: countByStatus(rows),
    waiting_for: null,
    warnings: [],
    refusal: null,
    rows: rows.map((one) => ({ host_name: null, step: null, attempt: 1, ...one })),
    ...more,
  };
}

export function decky(name: string, more: Partial<FleetDecky> = {}): FleetDecky {
  return {
    name,
    ip: '10.200.0.2',
    services: ['ssh', 'http'],
    hostname: 'SRV-ECHO-11',
    archetype: null,
    host_uuid: null,
    host_name: null,
    state: 'running',
    drift: [],
    last_error: null,
    established: true,
    open: null,
    updated_at: T0,
    ...more,
  };
}
