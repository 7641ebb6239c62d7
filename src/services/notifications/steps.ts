/** Steps of messages: how each came to be as it is, and why. They are added and never changed. */
import type { Scope, Transaction } from '../../platform/db.ts';

type State = 'waiting' | 'sending' | 'sent' | 'failed' | 'suppressed';

export interface Step {
  state: State;
  /** A code, as `quiet_hours`. */
  reason: string;
  /** The same in a sentence. It names nobody. */
  detail: string;
}

export const recipientGone: Step = {
  state: 'suppressed',
  reason: 'recipient_gone',
  detail: 'There is no such recipient any more.',
};

const MAX_DETAIL = 1_000;

export async function addStep(
  tx: Transaction,
  scope: Scope,
  message_id: string,
  { state, reason, detail }: Step,
): Promise<void> {
  await tx.run(
    `insert into notifications.message_steps (tenant_id, environment, message_id, at, state, reason, detail)
     values ($1, $2, $3, platform.now_of($1, $2), $4, $5, $6)`,
    [scope.tenant_id, scope.environment, message_id, state, reason, detail.slice(0, MAX_DETAIL)],
  );
}
