/** Keys that what is sent to endpoints is signed with. An endpoint has one, and while it rotates those before it too. */
import type { Scope, Transaction } from '../../platform/db.ts';
import { newUuid } from '../../platform/ids.ts';
import type { Secrets } from '../../platform/secret.ts';
import { newEd25519Key, newHmacSecret, type SignatureScheme } from '../../platform/webhook-signature.ts';

/** What a stored secret belongs to: moved to another row it cannot be decrypted. */
export const signingKeyContext = ({ tenant_id, environment }: Scope, id: string) =>
  `webhook signing key ${tenant_id} ${environment} ${id}`;

/** Makes a key for an endpoint and keeps it encrypted. Returns what the receiver needs of it. */
export async function addSigningKey(
  tx: Transaction,
  secrets: Secrets,
  scope: Scope,
  endpoint_id: string,
  scheme: SignatureScheme,
): Promise<{ secret?: string; public_key?: string }> {
  const id = newUuid();
  const made = scheme === 'ed25519' ? newEd25519Key() : { secret: newHmacSecret(), public_key: null };
  await tx.run(
    `insert into webhooks.signing_keys (tenant_id, environment, id, endpoint_id, scheme, secret, public_key)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      scope.tenant_id,
      scope.environment,
      id,
      endpoint_id,
      scheme,
      secrets.encrypt(made.secret, signingKeyContext(scope, id)),
      made.public_key,
    ],
  );
  return made.public_key === null ? { secret: made.secret } : { public_key: made.public_key };
}
