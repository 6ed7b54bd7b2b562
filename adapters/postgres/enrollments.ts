/** Spending a token and enrolling its host, in one transaction: where the one fails the other did not happen. */
import type { Sql } from './connect.ts';
import { createEnrollmentTokens, type Enrollment } from './enrollment-tokens.ts';
import { createHostStore, type Host } from './hosts.ts';

export interface Certified {
  readonly fingerprint: string;
  readonly notAfter: Date;
}

export interface Enrollments {
  /** `certify` makes the certificate for the host that the token names. Throws EnrollmentRefused, HostExists, and what `certify` throws. */
  join<T extends Certified>(
    token: string,
    certify: (enrollment: Enrollment) => Promise<T>,
  ): Promise<{ host: Host; certificate: T }>;
}

export const createEnrollments = (sql: Sql): Enrollments => ({
  join: (token, certify) =>
    sql.begin(async (tx) => {
      const enrollment = await createEnrollmentTokens(tx).spend(token);
      const certificate = await certify(enrollment);
      const host = await createHostStore(tx).enroll({
        uuid: enrollment.hostUuid,
        name: enrollment.name,
        address: enrollment.address,
        agentPort: enrollment.agentPort,
        notes: enrollment.notes,
        useIpvlan: enrollment.useIpvlan,
        fingerprint: certificate.fingerprint,
        certNotAfter: certificate.notAfter,
        fenced: true,
      });
      return { host, certificate };
    }) as Promise<{ host: Host; certificate: Awaited<ReturnType<typeof certify>> }>,
});
