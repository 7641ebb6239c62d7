/** What recipients want once a day, gathered into one message by each channel at the time that they chose. */
import { Type } from 'typebox';
import type { Database, Scope } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import { compose, refusalOf } from './compose.ts';
import { findRecipient, lockRecipient } from './recipients.ts';
import { addStep } from './steps.ts';
import { ChannelName, DIGEST } from './topics.ts';

const DIGESTS_A_PASS = 20;
/** Messages that one digest tells of; what is beyond comes in the next one, at once. */
const MESSAGES_A_DIGEST = 100;

const Waiting = Type.Object({ recipient_id: Type.String(), channel: ChannelName });
const Nullable = Type.Union([Type.String(), Type.Null()]);
const Item = Type.Object({
  id: Type.String(),
  topic: Type.String(),
  subject: Nullable,
  text: Type.String(),
});

/** Gathers what is due of a tenant and says how many messages were looked at. */
export async function gatherDigests(db: Database, scope: Scope): Promise<number> {
  const waiting = await db.read(scope, (tx) =>
    tx.rows(
      Waiting,
      `select distinct recipient_id, channel from notifications.messages
       where tenant_id = $1 and environment = $2 and state = 'waiting' and digest and digest_id is null
         and due_at <= (select platform.now_of($1, $2)) limit $3`,
      [scope.tenant_id, scope.environment, DIGESTS_A_PASS],
    ),
  );
  let gathered = 0;
  for (const { recipient_id, channel } of waiting) gathered += await gather(db, scope, recipient_id, channel);
  return gathered;
}

/** Makes one digest of a recipient. Two processes do so one after the other: the second finds nothing left. */
function gather(db: Database, scope: Scope, recipient_id: string, channel: ChannelName): Promise<number> {
  return db.write(scope, async (tx) => {
    await lockRecipient(tx, scope, recipient_id);
    const found = await findRecipient(tx, scope, recipient_id);
    if (found === undefined) return 0;
    const { recipient } = found;
    const items = await tx.rows(
      Item,
      `select id, topic, subject, text from notifications.messages
       where tenant_id = $1 and environment = $2 and recipient_id = $3 and channel = $4 and state = 'waiting' and digest
         and digest_id is null and due_at <= (select platform.now_of($1, $2))
       order by id limit $5 for update`,
      [scope.tenant_id, scope.environment, recipient_id, channel, MESSAGES_A_DIGEST],
    );
    const told: typeof items = [];
    for (const item of items) {
      // It may have been switched off since.
      const refusal = refusalOf(recipient, item.topic, channel);
      if (refusal === undefined) {
        told.push(item);
        continue;
      }
      await tx.run(
        `update notifications.messages set state = 'suppressed', settled_at = platform.now_of($1, $2)
         where tenant_id = $1 and environment = $2 and id = $3`,
        [scope.tenant_id, scope.environment, item.id],
      );
      await addStep(tx, scope, item.id, refusal);
    }
    const [first] = told;
    if (first === undefined) return items.length;
    const [digest] = await compose(tx, scope, {
      recipient,
      topic: DIGEST,
      data: { count: told.length, items: told.map(({ subject, text }) => ({ subject, text })) },
      channels: [channel],
      // The first of them is in no other digest.
      cause: `digest ${formatId('msg', first.id)}`,
      created_by: 'notifications',
    });
    if (digest === undefined) throw new Error(`there is a digest of ${first.id} already`);
    await tx.run(
      `update notifications.messages set digest_id = $3
       where tenant_id = $1 and environment = $2 and id = any ($4)`,
      [scope.tenant_id, scope.environment, digest, told.map(({ id }) => id)],
    );
    const detail = `It is told in the digest ${formatId('msg', digest)}.`;
    for (const { id } of told) await addStep(tx, scope, id, { state: 'waiting', reason: 'gathered', detail });
    return items.length;
  });
}
