/** Looks at single containers: their state, and the end of their log. */
import type Docker from 'dockerode';
import type { EngineScope } from '../engine.ts';
import { callEngine, READ_TIMEOUT_MS } from './call.ts';
import { engineStatus } from './errors.ts';
import type { Inspection } from './fate.ts';
import { LABEL } from './labels.ts';
import { cleanLog, demultiplex, EVIDENCE_LINES } from './logs.ts';

/** By its name or id; null where there is none that is ours. */
export async function inspectContainer(
  docker: Docker,
  scope: EngineScope,
  name: string,
  signal?: AbortSignal,
): Promise<Inspection | null> {
  const doing = `look at container ${name}`;
  return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    try {
      const info = await docker.getContainer(name).inspect({ abortSignal });
      if (info.Config.Labels?.[LABEL.instance] !== scope.instance) return null;
      const { State } = info;
      return {
        id: info.Id,
        name: info.Name.replace(/^\//, ''),
        state: State.Status,
        exitCode: State.ExitCode,
        oomKilled: State.OOMKilled,
        error: State.Error,
        startedAt: Date.parse(State.StartedAt),
        restarts: info.RestartCount,
        policy: info.HostConfig.RestartPolicy?.Name || 'no',
      };
    } catch (error) {
      if (engineStatus(error) === 404) return null;
      throw error;
    }
  });
}

/** Cleaned; empty when there is no log, or its driver can't be read. */
export async function lastLogLines(docker: Docker, id: string, signal?: AbortSignal): Promise<string> {
  const doing = `log of container ${id}`;
  return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    try {
      const container = docker.getContainer(id);
      const options = { stdout: true, stderr: true, tail: EVIDENCE_LINES, follow: false as const, abortSignal };
      const raw: unknown = await container.logs(options);
      return cleanLog(Buffer.isBuffer(raw) ? demultiplex(raw) : String(raw));
    } catch (error) {
      if (engineStatus(error) !== null) return '';
      throw error;
    }
  });
}
