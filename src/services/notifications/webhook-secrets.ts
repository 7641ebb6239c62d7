/** Secrets that messages to recipients are signed with. Each is told once, when it is made. */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import type { Database } from '../../platform/db.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import type { Secrets } from '../../platform/secret.ts';
import { newHmacSecret } from '../../platform/webhook-signature.ts';
import { refuse } from './errors.ts';
import { getRecipient, lockRecipient } from './recipients.ts';
import { webhookSecretContext } from './webhook.ts';

const WebhookSecret = Type.Object({ recipient_id: Id('rcp'), created_at: Type.String() });
export const NewWebhookSecret = Type.Object({
  ...WebhookSecret.properties,
  secret: Type.Optional(
    Type.String({
      description:
        'As Standard Webhooks has it, told this once: a repetition of the request is answered without it',
    }),
  ),
});

const Row = Type.Object({ created_at: Type.String() });
const find =
  'select created_at from notifications.webhook_secrets where tenant_id = $1 and environment = $2 and recipient_id = $3';

/** Makes the secret of a recipient, in the place of the one before: what is sent from then on is signed with it. */
export async function makeWebhookSecret(
  { db, secrets }: { db: Database; secrets: Secrets },
  caller: Caller,
  uuid: string,
  attempt: Attempt,
): Promise<{
  before: Static<typeof WebhookSecret> | undefined;
  created: Static<typeof NewWebhookSecret>;
  replayed: boolean;
}> {
  const recipient_id = formatId('rcp', uuid);
  const secret = newHmacSecret();
  const key = [caller.tenant_id, caller.environment, uuid];
  let before: Static<typeof WebhookSecret> | undefined;
  const { replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest({}) },
    refuse,
    async (tx) => {
      await lockRecipient(tx, caller, uuid);
      await getRecipient(tx, caller, uuid);
      const [old] = await tx.rows(Row, find, key);
      before = old === undefined ? undefined : { recipient_id, ...old };
      await tx.run(
        `insert into notifications.webhook_secrets (tenant_id, environment, recipient_id, secret) values ($1, $2, $3, $4)
         on conflict (tenant_id, environment, recipient_id) do update
           set secret = excluded.secret, created_at = excluded.created_at`,
        [...key, secrets.encrypt(secret, webhookSecretContext(caller, uuid))],
      );
      return uuid;
    },
  );
  const [made] = await db.read(caller, (tx) => tx.rows(Row, find, key));
  if (made === undefined) throw new Error(`the secret of ${recipient_id} that was made is not there`);
  return { before, created: { recipient_id, ...made, ...(replayed ? {} : { secret }) }, replayed };
}
