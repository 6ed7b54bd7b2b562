/** When a certificate has to be made anew. */
const DAY_MS = 24 * 60 * 60 * 1000;
/** A certificate with less than this left is renewed. */
export const RENEWAL_WINDOW_MS = 30 * DAY_MS;

/** True once less than 30 days are left, or less than a third of the whole validity where that is shorter. */
export function isRenewalDue(validity: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): boolean {
  const whole = validity.notAfter.getTime() - validity.notBefore.getTime();
  return validity.notAfter.getTime() - now.getTime() < Math.min(RENEWAL_WINDOW_MS, whole / 3);
}
