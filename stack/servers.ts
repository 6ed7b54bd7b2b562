/** The four servers, found or made and started: the same for `npm start` and `npm test`. */
import type { Provided, StackContext } from './context.ts';
import { type DockerEngine, provideDocker, simulated } from './docker.ts';
import { provideNats } from './nats.ts';
import { providePostgres } from './postgres.ts';
import type { Supervisor } from './supervisor.ts';
import { provideTemporal, type TemporalServer } from './temporal.ts';

export interface Servers {
  readonly temporal: TemporalServer;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly docker: DockerEngine;
}

async function bring<T>(
  name: string,
  context: StackContext,
  supervisor: Supervisor,
  provide: (context: StackContext) => Promise<Provided<T>>,
): Promise<T> {
  const say = context.sayFor(name);
  const begun = Date.now();
  const provided = await provide(context);
  if (provided.process) await supervisor.start(provided.process);
  const took = provided.process ? `, ${((Date.now() - begun) / 1000).toFixed(1)} s` : '';
  say(`ready (${provided.origin}${took})`);
  return provided.value;
}

/** A private dockerd that does not come up (in a container without privileges, say) leaves the fleet simulated, and says so. */
async function bringDocker(context: StackContext, supervisor: Supervisor): Promise<DockerEngine> {
  try {
    return await bring('docker', context, supervisor, provideDocker);
  } catch (error) {
    await supervisor.abandon('docker');
    const reason = (error as Error).message;
    context.sayFor('docker')(`${reason}. Deckies are simulated.`);
    return simulated(reason).value;
  }
}

/** All at the same time; rejects with the first failure. */
export async function startServers(context: StackContext, supervisor: Supervisor): Promise<Servers> {
  const [databaseUrl, natsUrl, temporal, docker] = await Promise.all([
    bring('postgres', context, supervisor, providePostgres),
    bring('nats', context, supervisor, provideNats),
    bring('temporal', context, supervisor, provideTemporal),
    bringDocker(context, supervisor),
  ]);
  return { temporal, databaseUrl, natsUrl, docker };
}
