/** What somebody chose to be told of limits of requests. It is kept as what any recipient wishes: subscriptions and preferences. */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import type { Database, Transaction } from '../../platform/db.ts';
import type { Asked, Operation } from '../../platform/port/port.ts';
import type { LimitNotices, notificationsPort } from './contract.ts';
import { getRecipient, lockRecipient, putRecipient, type Recipient } from './recipients.ts';

type LimitNotices = Static<typeof LimitNotices>;
type InputOf<Own extends Operation> = Static<Own['input']>;
type Setting = InputOf<(typeof notificationsPort)['operations']['setLimitNotices']>;

const channels = ['email', 'in_app'] as const;
const topics = { 80: 'limits.crossed', 100: 'limits.reached' } as const;
const limitTopics: readonly string[] = Object.values(topics);

function noticesOf({ subscriptions, preferences }: Recipient): LimitNotices {
  const from_percent =
    ([80, 100] as const).find((percent) => subscriptions.includes(topics[percent])) ?? null;
  const chosen = preferences[topics[from_percent ?? 80]] ?? {};
  const told = channels.filter((channel) => chosen[channel] !== 'off');
  return told.length === 0
    ? { from_percent: null, channels: [...channels] }
    : { from_percent, channels: told };
}

const nothing: LimitNotices = { from_percent: null, channels: ['email'] };

/** What the caller chose; nothing where they chose nothing yet. */
async function findOwn(tx: Transaction, caller: Caller): Promise<LimitNotices> {
  const [row] = await tx.rows(
    Type.Object({ id: Type.String() }),
    'select id from notifications.recipients where tenant_id = $1 and environment = $2 and reference = $3',
    [caller.tenant_id, caller.environment, caller.principal.id],
  );
  return row === undefined ? nothing : noticesOf((await getRecipient(tx, caller, row.id)).recipient);
}

/** Of a call by a service, on behalf of whom it is made. */
const beneficiary = ({ caller }: Asked): Caller =>
  caller.on_behalf_of === undefined ? caller : { ...caller, principal: caller.on_behalf_of };

export function getLimitNotices(db: Database, asked: Asked): Promise<LimitNotices> {
  const caller = beneficiary(asked);
  return db.read(caller, (tx) => findOwn(tx, caller));
}

/** Notes what the caller chose. What they wish of other topics, and of digests, stays. */
export function setLimitNotices(
  db: Database,
  asked: Asked,
  { name, email, language, notices }: Setting,
): Promise<{ before: LimitNotices; after: LimitNotices }> {
  const caller = beneficiary(asked);
  return db.write(caller, async (tx) => {
    const before = await findOwn(tx, caller);
    const known = { reference: caller.principal.id, kind: 'staff', name, email, language } as const;
    const uuid = await putRecipient(tx, caller, known);
    await lockRecipient(tx, caller, uuid);
    const { recipient } = await getRecipient(tx, caller, uuid);
    const { from_percent } = notices;
    const subscriptions = recipient.subscriptions.filter((topic) => !limitTopics.includes(topic));
    const preferences = { ...recipient.preferences };
    if (from_percent !== null) {
      const topic = topics[from_percent];
      subscriptions.push(topic);
      const kept = preferences[topic] ?? {};
      preferences[topic] = {
        ...kept,
        ...Object.fromEntries(
          channels.map((channel) => [
            channel,
            !notices.channels.includes(channel) ? 'off' : kept[channel] === 'digest' ? 'digest' : 'on',
          ]),
        ),
      };
    }
    await tx.run(
      `update notifications.recipients
       set subscriptions = $4, preferences = $5, status = 'active', version = version + 1, updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid, subscriptions, JSON.stringify(preferences)],
    );
    return { before, after: noticesOf((await getRecipient(tx, caller, uuid)).recipient) };
  });
}
