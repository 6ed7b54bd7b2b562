/** Leaves a decky's service behind, as an engine does that comes back and starts it before its base. */
import assert from 'node:assert/strict';
import type Docker from 'dockerode';

export async function leaveBehind(docker: Docker, base: string, service: string): Promise<void> {
  for (const name of [service, base]) await docker.getContainer(name).stop({ t: 0 });
  await assert.rejects(docker.getContainer(service).start(), /non running container/);
  await docker.getContainer(base).start();
}
