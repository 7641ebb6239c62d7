/** Attempts to sign in, in the audit trail of the tenant: they are no requests of a known caller. */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { AuditTrail } from '../../../platform/audit/write.ts';
import type { Database } from '../../../platform/db.ts';
import { formatId, newUuid } from '../../../platform/ids.ts';
import { refuse } from '../errors.ts';
import type { SignInAttempt } from './sign-in.ts';

const KnownRow = Type.Object({ name: Type.Union([Type.String(), Type.Null()]) });

export interface SignInTrail {
  db: Database;
  audit: Pick<AuditTrail, 'record'>;
  log: FastifyBaseLogger;
}

/** Writes an attempt down, in both environments: whoever signs in may go to either. */
async function record({ db, audit }: SignInTrail, attempt: SignInAttempt): Promise<void> {
  const { tenant_id, person_id, outcome, method, origin } = attempt;
  if (tenant_id === undefined) return;
  // Which tenant and person are meant is what whoever tries says: neither need be there.
  const [known] = await db.read({ tenant_id, environment: 'sandbox' }, (tx) =>
    tx.rows(
      KnownRow,
      `select p.name from platform.tenants t
       left join identity.people p on p.tenant_id = t.tenant_id and p.id = $2
       where t.tenant_id = $1`,
      [tenant_id, person_id ?? null],
    ),
  );
  if (known === undefined) return;
  const isKnown = person_id !== undefined && known.name !== null;
  const id = isKnown ? formatId('usr', person_id) : 'unknown';
  const { status } = refuse.types.sign_in_refused;
  for (const environment of ['sandbox', 'live'] as const) {
    await audit.record({
      tenant_id,
      environment,
      principal: { kind: 'person', id, name: known.name ?? 'Unknown' },
      address: origin.address,
      method: 'POST',
      route: '/identity/sign-in',
      path: '/identity/sign-in',
      request_id: newUuid(),
      ...(isKnown ? { subject: id } : {}),
      ...(outcome === 'refused'
        ? { outcome: 'refused', status, code: 'sign_in_refused' }
        : { outcome: 'done', status: 200 }),
      after: { signing_in: outcome, by: method },
    });
  }
}

/**
 * Whoever is refused does not wait for the record: how long it takes would tell whether somebody is known. Never rejects.
 */
export function signInRecorder(trail: SignInTrail): (attempt: SignInAttempt) => Promise<void> {
  return (attempt) =>
    record(trail, attempt).catch((error: unknown) =>
      trail.log.error({ err: error }, 'an attempt to sign in could not be recorded'),
    );
}
