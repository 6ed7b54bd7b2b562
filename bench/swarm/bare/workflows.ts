/** Parent, a child per host; each child: local activity, activity, one signal, local activity, activity. */
import {
  condition,
  executeChild,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type EmptyActivities,
  type FleetInput,
  type HostInput,
  heartbeatSignal,
  hostWorkflowId,
  type OutsideActivities,
  type Report,
} from './messages.ts';

const TIMEOUT = { startToCloseTimeout: '40s' } as const;
const remote = proxyActivities<EmptyActivities & OutsideActivities>(TIMEOUT);
const local = proxyLocalActivities<EmptyActivities & OutsideActivities>(TIMEOUT);

export async function bareFleet({ operationId, hosts, outside }: FleetInput): Promise<void> {
  await Promise.all(
    hosts.map((host) =>
      executeChild(bareHost, {
        workflowId: hostWorkflowId(operationId, host),
        args: [{ operationId, host, outside }],
      }),
    ),
  );
}

export async function bareHost(input: HostInput): Promise<void> {
  let report: Report | null = null;
  setHandler(heartbeatSignal, (sent) => {
    report = sent;
  });
  await (input.outside ? local.rowsOf(input) : local.nothing());
  await (input.outside ? remote.dispatch(input) : remote.tell({ workflowId: workflowInfo().workflowId }));
  await condition(() => report !== null);
  await (input.outside ? local.openRows(input) : local.nothing());
  await (input.outside && report ? remote.finish(report) : remote.nothing());
}
