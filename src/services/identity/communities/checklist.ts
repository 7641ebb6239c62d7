/** What an organisation has to have done before it may ask for more than its sandbox. */
import { type Static, Type } from 'typebox';
import { may } from '../../../platform/access/caller.ts';
import type { Database } from '../../../platform/db.ts';
import { parseId } from '../../../platform/ids.ts';
import type { Ask, Call } from '../../../platform/port/port.ts';
import type { ledgerPort } from '../../ledger/contract.ts';
import { factorsOf } from '../people/sign-in.ts';
import type { Community } from './communities.ts';
import type { Organisation } from './organisations.ts';

const items = {
  address_confirmed: 'Somebody showed that the address of the organisation is theirs',
  terms_accepted: 'The organisation accepted the terms as they are now',
  second_factor: 'Whoever asks signs in with a second factor',
  sandbox_used: 'Something was posted in the sandbox',
};
const Item = Type.Enum(['address_confirmed', 'terms_accepted', 'second_factor', 'sandbox_used']);

export const Checklist = Type.Array(
  Type.Object({ item: Item, meaning: Type.String(), done: Type.Boolean() }),
  { description: 'What has to be done before live access is asked for' },
);

export interface Checking {
  db: Database;
  askLedger: Ask<(typeof ledgerPort)['operations']>;
}

/** How the checklist stands for whoever asks. What they may not see counts as not done. */
export async function checklistOf(
  { db, askLedger }: Checking,
  call: Call,
  { organisation, community }: { organisation: Organisation; community: Community },
): Promise<Static<typeof Checklist>> {
  const { caller } = call;
  const person_id = parseId('usr', caller.principal.id);
  const factors =
    person_id === undefined
      ? []
      : await db.read(caller, (tx) => factorsOf(tx, { tenant_id: caller.tenant_id, person_id }));
  const posted = may(caller, 'transfers:read')
    ? (await askLedger('getPosition', call, {})).position > 0
    : false;
  const done: Record<keyof typeof items, boolean> = {
    // Nobody is in an organisation whose address was not confirmed.
    address_confirmed: true,
    terms_accepted: organisation.terms_version === community.terms.version,
    second_factor: factors.some((factor) => factor !== 'recovery_code'),
    sandbox_used: posted,
  };
  return Item.enum.map((item) => ({ item, meaning: items[item], done: done[item] }));
}
