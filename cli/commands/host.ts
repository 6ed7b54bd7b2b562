/** `deckhand host`: enrol hosts and look at them. Leaving is in host-leave.ts. */
import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { HostView } from '../hosts.ts';
import { hostPlace, renderHost, renderHosts } from '../render-hosts.ts';

export interface EnrollOptions {
  readonly port?: number;
  readonly sans?: readonly string[];
  readonly notes?: string;
  readonly ipvlan?: boolean;
}

/** Prints one command for the host. The token in it is good for one use and a quarter of an hour. */
export async function enroll(
  context: Context,
  name: string,
  address: string,
  { port, sans, notes, ipvlan }: EnrollOptions,
): Promise<ExitCode> {
  const { io } = context;
  const enrollment = await context.hosts.enroll({
    name,
    address,
    ...(port !== undefined && { agent_port: port }),
    ...(sans !== undefined && { sans }),
    ...(notes !== undefined && { notes }),
    ...(ipvlan && { use_ipvlan: true }),
  });
  if (context.json) printJson(io, enrollment);
  else {
    io.err(`Run this on ${name}, before ${enrollment.expires_at} (it works once):`);
    io.out(enrollment.command);
  }
  return EXIT.succeeded;
}

export async function listHosts(context: Context): Promise<ExitCode> {
  const [hosts, fleet] = await Promise.all([context.hosts.list(), context.master.fleet()]);
  if (context.json) printJson(context.io, { hosts });
  else context.io.out(renderHosts(hosts, fleet.deckies, context.io.colours, Date.now()));
  return EXIT.succeeded;
}

export async function showHost(context: Context, name: string): Promise<ExitCode> {
  const [host, fleet] = await Promise.all([context.hosts.named(name), context.master.fleet()]);
  const deckies = fleet.deckies.filter((decky) => decky.host_uuid === host.uuid);
  if (context.json) printJson(context.io, { ...host, deckies });
  else context.io.out(renderHost(host, deckies, context.io.colours, Date.now()));
  return EXIT.succeeded;
}

/** Asks the agents now. 2 when one does not answer. */
export async function checkHosts(context: Context, name: string | undefined): Promise<ExitCode> {
  const { io, json } = context;
  const hosts = name === undefined ? await context.hosts.list() : [await context.hosts.named(name)];
  const results = hosts.map((host) => ({ host, reachable: host.status === 'active' }));
  if (json) printJson(io, { results: results.map(({ host, reachable }) => ({ ...brief(host), reachable })) });
  else if (hosts.length === 0) io.out('No hosts are enrolled.');
  else
    for (const { host, reachable } of results)
      io.out(
        reachable
          ? `${io.colours.green('✓')} ${host.name} answers at ${hostPlace(host)}`
          : `${io.colours.red('✗')} ${host.name} does not answer at ${hostPlace(host)}`,
      );
  return results.every(({ reachable }) => reachable) ? EXIT.succeeded : EXIT.someFailed;
}

const brief = ({ uuid, name, address, agent_port }: HostView) => ({ host_uuid: uuid, name, address, agent_port });

/** The agent makes a new key and fetches a certificate when it hears of it: with its next heartbeat. */
export async function renewHost(context: Context, name: string): Promise<ExitCode> {
  const host = await context.hosts.named(name);
  await context.hosts.change(host.uuid, { renew: true });
  if (context.json) printJson(context.io, { ...brief(host), renew_requested: true });
  else context.io.out(`${host.name} renews its certificate with its next heartbeat (within 30 s).`);
  return EXIT.succeeded;
}
