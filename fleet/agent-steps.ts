/** What an agent says, as the step of a decky, while it retries something that failed. */

const RETRYING = 'retrying: ';

/** `until`: the deadline of the retries. */
export const retrying = (message: string, until: Date): string => `${RETRYING}${message}; until ${until.toISOString()}`;

/** A repeated try that got no further is no progress, whatever it says. */
export const isRetry = (step: string): boolean => step.startsWith(RETRYING);
