/** Events of proposals, kept in the commit of what they tell of. Nothing of what was asked is in them, and no name. */
import type { Principal } from '../access/caller.ts';
import type { Scope, Transaction } from '../db.ts';
import { formatId } from '../ids.ts';
import type { Money } from '../money.ts';
import { addEvent } from '../outbox.ts';
import type { ProposalRow } from './proposal.ts';

type Happening = 'created' | 'approved' | 'rejected' | 'cancelled' | 'expired' | 'carried_out' | 'failed';

type Told = Pick<ProposalRow, 'id' | 'action' | 'policy' | 'proposed_by' | 'on_behalf_of' | 'decided_by'>;

const idOf = ({ kind, id }: Principal) => ({ kind, id });

/**
 * Tells what happened to a proposal, last in its transaction: the events of the tenant wait for it.
 *
 * @param more.above thresholds of the policy by which it waits; null: it waits whatever the amount
 * @param more.status HTTP status that the request was answered with
 */
export function addProposalEvent(
  tx: Transaction,
  scope: Scope,
  happening: Happening,
  proposal: Told,
  more: { above?: readonly Money[] | null; expires_at?: string; status?: number } = {},
): Promise<void> {
  const { id, action, policy, proposed_by, on_behalf_of, decided_by } = proposal;
  const proposal_id = formatId('prp', id);
  return addEvent(tx, scope, {
    type: `platform.proposal.${happening}`,
    subject: proposal_id,
    data: {
      proposal_id,
      action,
      policy,
      ...more,
      proposed_by: idOf(proposed_by),
      ...(on_behalf_of === null ? {} : { on_behalf_of: idOf(on_behalf_of) }),
      ...(decided_by === null ? {} : { decided_by: idOf(decided_by) }),
    },
  });
}
