/** `deckhand open` and `deckhand doctor`: the stack of this directory, and what this machine has for one. */
import { spawn } from 'node:child_process';
import { readStackFile } from './connection.ts';
import { type Context, printJson } from './context.ts';
import { CliError, EXIT, type ExitCode } from './errors.ts';
import { type DoctorFinding, renderFindings } from './render.ts';

interface OpenOptions {
  readonly browser?: boolean;
}

const OPENER: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};

/** Prints where everything is; opens the API's page only with --browser. */
export async function open(context: Context, options: OpenOptions): Promise<ExitCode> {
  const { io } = context;
  const { apiUrl } = context.connection();
  const stack = context.remote ? null : readStackFile(context.home);
  const urls = {
    api: apiUrl,
    docs: `${apiUrl}/docs`,
    temporal_ui: stack?.temporal_ui_url ?? null,
    nats: stack?.nats_url ?? null,
    swarm: stack?.swarm_url ?? null,
  };
  if (context.json) printJson(io, urls);
  else {
    const lines = [
      ['API', `${urls.api}/api/v1`],
      ['API documentation', urls.docs],
      ['Temporal', urls.temporal_ui],
      ['NATS', urls.nats],
      ['Swarm controller', urls.swarm],
    ];
    for (const [title, url] of lines) if (title && url) io.out(`${title.padEnd(18)} ${url}`);
  }
  if (options.browser) await openInBrowser(urls.docs);
  return EXIT.succeeded;
}

async function openInBrowser(url: string): Promise<void> {
  const [command, ...given] = OPENER[process.platform] ?? ['xdg-open'];
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, [...given, url], { stdio: 'ignore', detached: true });
    child.once('error', (cause) =>
      reject(
        new CliError(EXIT.couldNotAsk, `No browser could be opened: ${cause.message}`, {
          advice: `Open ${url} by hand.`,
          cause,
        }),
      ),
    );
    child.once('spawn', () => {
      child.unref();
      resolve();
    });
  });
}

/** Says what is there, what is missing and what to do; 2 when something is missing. */
export async function doctor(context: Context): Promise<ExitCode> {
  const findings = await diagnose({ ...context.io.environment, DECKHAND_HOME: context.home });
  if (context.json) printJson(context.io, { findings });
  else context.io.out(renderFindings(findings, context.io.colours));
  return findings.some((finding) => finding.status === 'missing') ? EXIT.someFailed : EXIT.succeeded;
}

/** Loaded late: it knows every server of the stack, which no other command needs. */
async function diagnose(environment: NodeJS.ProcessEnv): Promise<readonly DoctorFinding[]> {
  try {
    const doctor = await import('../stack/doctor.ts');
    return await doctor.diagnose(environment);
  } catch (cause) {
    throw new CliError(EXIT.couldNotAsk, `The diagnosis itself failed: ${(cause as Error).message}`, { cause });
  }
}
