/** Telling somebody something for another service, which knows them by a reference of its own. */
import type { Static } from 'typebox';
import type { Database } from '../../platform/db.ts';
import type { Asked, Operation } from '../../platform/port/port.ts';
import { compose } from './compose.ts';
import type { notificationsPort } from './contract.ts';
import { assertData } from './data.ts';
import { getRecipient, putRecipient } from './recipients.ts';

type Tell = (typeof notificationsPort)['operations']['tell'];
type InputOf<Own extends Operation> = Static<Own['input']>;

export function tell(
  db: Database,
  asked: Asked,
  { recipient: known, topic, data, cause }: InputOf<Tell>,
): Promise<Static<Tell['output']>> {
  const { caller } = asked;
  assertData(topic, data);
  return db.write(caller, async (tx) => {
    const { recipient } = await getRecipient(tx, caller, await putRecipient(tx, caller, known));
    const made = await compose(tx, caller, {
      recipient,
      topic,
      data,
      cause,
      created_by: caller.principal.id,
    });
    return { messages: made.length };
  });
}
