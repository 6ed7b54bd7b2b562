/** JSON log lines by pino; secrets never enter a log call, and known secret keys are cut out as a second fence. */
import { type Logger, pino } from 'pino';

export type { Logger };

export const createLogger = (program: string): Logger =>
  pino({
    name: program,
    level: process.env.DECKHAND_LOG_LEVEL ?? 'info',
    redact: {
      paths: ['password', '*.password', 'authorization', '*.authorization', 'token', '*.token'],
      censor: '[cut]',
    },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
