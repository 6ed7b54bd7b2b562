/** Bus subjects (wire.md 6; ours.md: a character that NATS forbids in a token becomes `_`). */
export const EVENT_STREAM = 'DECKHAND_EVENTS';
export const EVENT_SUBJECTS = 'decky.>';

export const subjectToken = (name: string): string => name.replace(/[.\s*>]/g, '_') || '_';
export const lifecycleSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.lifecycle`;
export const mutationSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.mutation`;
export const driftSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.drift`;

/** What a deploy was warned of. */
export const warningSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.warning`;

/** JetStream drops a repeat of the same id within its window (24 h). */
export const lifecycleMessageId = (lifecycleId: string, status: string): string => `${lifecycleId}:${status}`;

/** DECNET's envelope (wire.md 6); `topic` is the NATS subject, `id` 32 hex digits, `ts` epoch seconds. */
export interface Envelope {
  readonly v: 1;
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly ts: number;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What an event is about, beside DECNET's envelope: it travels in headers of the message. */
export interface EventOrigin {
  readonly deckyName: string;
  readonly deploymentId: string | null;
  /** null: the master's own engine. */
  readonly hostUuid: string | null;
}

export const ORIGIN_HEADERS = Object.freeze({
  deckyName: 'Deckhand-Decky',
  deploymentId: 'Deckhand-Deployment',
  hostUuid: 'Deckhand-Host',
});
