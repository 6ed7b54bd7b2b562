import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { type DoctorFinding, renderFindings } from '../render-doctor.ts';

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
    const doctor = await import('../../stack/doctor.ts');
    return await doctor.diagnose(environment);
  } catch (cause) {
    throw new CliError(EXIT.couldNotAsk, `The diagnosis itself failed: ${(cause as Error).message}`, { cause });
  }
}
