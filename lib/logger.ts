/** JSON log lines by pino; secrets never enter a log call, and known secret keys are cut out as a second fence. */
import { type Logger, pino } from 'pino';

export type { Logger };

/** An error with its message, and its code where it has one: a failure of Temporal's has it in `type`. */
export function errorOfLog(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type }: { type?: unknown } = error as { type?: unknown };
  return { ...pino.stdSerializers.err(error), ...(typeof type === 'string' ? { type } : {}) };
}

export const createLogger = (program: string): Logger =>
  pino({
    name: program,
    level: process.env.DECKHAND_LOG_LEVEL ?? 'info',
    redact: {
      paths: ['password', '*.password', 'authorization', '*.authorization', 'token', '*.token'],
      censor: '[cut]',
    },
    // Temporal's SDK logs what an activity threw as `error`.
    serializers: { err: errorOfLog, error: errorOfLog },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
