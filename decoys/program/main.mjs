/**
 * The decoy: `node main.mjs <service>`. Listens on the service's ports and gives its protocol's first answers.
 * Environment: NODE_NAME and HOSTNAME, and the catalogue's variables of the service. For tests: DECOY_HOST (address to
 * listen on), DECOY_PORTS=random (ports of the system's choosing) or DECOY_PORT_OFFSET=n (n is added to each port).
 */
import { startSweeping } from './connections.mjs';
import { borrow, lend } from './lending.mjs';
import { drain, log, setService } from './log.mjs';
import { SERVICES } from './services.mjs';
import { listenTcp } from './tcp.mjs';
import { secureContext } from './tls.mjs';
import { listenUdp } from './udp.mjs';

const host = process.env.DECOY_HOST || '0.0.0.0';
const offset = Number(process.env.DECOY_PORT_OFFSET) || 0;
const realPort = (port) => (process.env.DECOY_PORTS === 'random' ? 0 : port + offset);

const NOBODY = 65_534;

// PID 1 has no default reactions to signals. There is nothing to finish: a decoy ends at once.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(0));
process.on('uncaughtException', (error) =>
  log({ event: 'error', message: `uncaught ${error.name}: ${error.message}` }),
);
process.on('unhandledRejection', (reason) => log({ event: 'error', message: `unhandled rejection: ${reason}` }));

async function fail(message, extra) {
  log({ event: 'fatal', message, ...extra });
  await drain(1_000);
  process.exit(1);
}

const listen = (listener, port) =>
  listener.transport === 'udp' ? listenUdp(listener, port, host) : listenTcp(listener, port, host, secureContext);

/** Binds one port; null when it is only a sideline and somebody else has it. Rejects with the system's error. */
async function open(listener) {
  const port = realPort(listener.port);
  let bound;
  try {
    bound = await listen(listener, port);
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    if (listener.sideline) {
      log({ event: 'note', message: `port ${port} (${listener.transport}) belongs to another service of this decky` });
      return null;
    }
    if (!(await borrow(listener.transport, port))) throw error;
    bound = await listen(listener, port);
  }
  if (listener.sideline)
    await lend(listener.transport, bound.port, async () => {
      await bound.close();
      log({
        event: 'note',
        message: `port ${bound.port} (${listener.transport}) given to another service of this decky`,
      });
    });
  return { port: listener.port, transport: listener.transport, bound: bound.port };
}

/** In its container the decoy is root only until its ports are bound. */
function dropPrivileges() {
  if (process.pid !== 1 || process.getuid?.() !== 0) return;
  process.setgroups([]);
  process.setgid(NOBODY);
  process.setuid(NOBODY);
}

async function start(name) {
  const service = SERVICES[name];
  if (!service) return fail(`unknown service ${JSON.stringify(name)}; known: ${Object.keys(SERVICES).join(', ')}`);
  setService(name);
  const listeners = await service();
  if (listeners.some((listener) => listener.transport === 'tls')) await secureContext();
  startSweeping();
  const ports = [];
  for (const listener of listeners) {
    try {
      const port = await open(listener);
      if (port) ports.push(port);
    } catch (error) {
      const port = realPort(listener.port);
      return fail(`port ${port} (${listener.transport}) can't be listened on: ${error.code ?? error.message}`, {
        local_port: port,
        transport: listener.transport,
      });
    }
  }
  dropPrivileges();
  log({ event: 'listening', ports });
  return undefined;
}

start(process.argv[2] ?? '').catch((error) => fail(`can't start: ${error.message}`));
