import { defineProblems, type Problem } from '../../platform/problem.ts';

/** Every refusal of the ledger. Those of `ledger.post` carry the same codes in SQL. */
export const refuse = defineProblems({
  account_not_found: {
    status: 404,
    title: 'No such account',
    meaning: 'No account with this id belongs to the tenant and environment of the key.',
  },
  account_frozen: {
    status: 422,
    title: 'The account is frozen',
    meaning:
      'Nothing moves to or from a frozen account; releases and expiries of its holds still do. Unfreeze it first.',
  },
  account_closed: {
    status: 422,
    title: 'The account is closed',
    meaning: 'A closed account takes no more postings and cannot be reopened. Open another.',
  },
  account_not_empty: {
    status: 422,
    title: 'The account is not empty',
    meaning:
      'Only an account with a balance of zero and nothing held can be closed. Move the balance and release the holds first.',
  },
  account_may_not_send: {
    status: 422,
    title: 'The account may not send',
    meaning: 'Its balance may not be decreased while `may_send` is false.',
  },
  account_may_not_receive: {
    status: 422,
    title: 'The account may not receive',
    meaning: 'Its balance may not be increased while `may_receive` is false.',
  },
  currency_mismatch: {
    status: 422,
    title: 'The amount is not in the currency of the account',
    meaning:
      'An account is kept in one currency. To move money between currencies, give `exchange` with a rate and an exchange account on either side.',
  },
  insufficient_funds: {
    status: 422,
    title: 'Insufficient funds',
    meaning:
      'The account would go further below zero than its credit limit allows, what is held included. `short` says by how much.',
  },
  account_not_allowed: {
    status: 403,
    title: 'Not from this account',
    meaning:
      'The key or role may lower the balance of certain accounts only, and this is none of them. What it may is told by its limits or by the labels that its grant is narrowed to.',
  },
  account_out_of_reach: {
    status: 422,
    title: 'The account would be out of reach',
    meaning:
      'The role was granted for accounts with certain labels; an account that is opened or edited by it must carry them.',
  },
  limit_exceeded: {
    status: 422,
    title: 'A monetary limit of the key is exceeded',
    meaning:
      '`limit` says which: `per_transfer`, `per_day` (of the time zone of the tenant), or `currency` where the key may move none of it. `allowed` is the limit and `left` what could still be moved. Move less, wait for the next day, or have the limit raised.',
  },
  limits_not_own: {
    status: 403,
    title: 'Nobody sets their own limits',
    meaning: 'A key that has limits cannot change limits, its own or those of others.',
  },
  limits_not_found: {
    status: 404,
    title: 'No limits',
    meaning:
      'There is no such API key in this environment, it is revoked, or no monetary limits are kept for it.',
  },
  balance_overflow: {
    status: 422,
    title: 'The balance would be too large',
    meaning: 'A counter of the account would pass 9,223,372,036,854,775,807 minor units.',
  },
  credit_limit_in_use: {
    status: 422,
    title: 'The credit limit is in use',
    meaning:
      'The balance is further below zero than the new limit would allow. Raise the balance first or choose a higher limit.',
  },
  unknown_currency: {
    status: 422,
    title: 'Unknown currency',
    meaning: 'The code is not an active one of ISO 4217.',
  },
  too_many_decimals: {
    status: 422,
    title: 'Too many decimals',
    meaning:
      'An amount may have as many digits after the point as its currency, never more: nothing is rounded. JPY has none, BRL two, KWD three.',
  },
  amount_too_large: {
    status: 422,
    title: 'The amount is too large',
    meaning: 'An amount has at most 18 digits in minor units.',
  },
  amount_not_positive: {
    status: 422,
    title: 'The amount must be above zero',
    meaning: 'To move money the other way, exchange debit and credit.',
  },
  amount_negative: {
    status: 422,
    title: 'The amount must not be negative',
    meaning: 'A credit limit is zero or more.',
  },
  unbalanced_transfer: {
    status: 422,
    title: 'The legs are not balanced',
    meaning:
      'In each currency the debits of a transfer equal its credits. `currency` and `difference` say where they do not.',
  },
  same_account: {
    status: 422,
    title: 'Debit and credit account are the same',
    meaning: 'Money moves between two accounts.',
  },
  exchange_required: {
    status: 422,
    title: 'An exchange is required',
    meaning: 'The two accounts are kept in different currencies: give `exchange`.',
  },
  exchange_mismatch: {
    status: 422,
    title: 'The exchange does not come out',
    meaning:
      'The credited amount must be the debited amount times the rate, to within one minor unit of its currency.',
  },
  effective_date_invalid: {
    status: 422,
    title: 'The effective date does not exist',
    meaning: 'A date of the Gregorian calendar from 1900-01-01 to 9999-12-31, as YYYY-MM-DD.',
  },
  metadata_too_large: {
    status: 422,
    title: 'Too much metadata',
    meaning: 'At most 50 entries; names of up to 64 characters, values of up to 500.',
  },
  transfer_not_found: {
    status: 404,
    title: 'No such transfer',
    meaning: 'No transfer with this id belongs to the tenant and environment of the key.',
  },
  linked_transfer_refused: {
    status: 422,
    title: 'A linked transfer was refused',
    meaning:
      'Transfers of one link are posted all or none. `refused_index` is the place within the link of the one that was refused; its own outcome says why.',
  },
  links_not_adjacent: {
    status: 422,
    title: 'Linked transfers are not side by side',
    meaning: 'Transfers of a batch with the same `link` must follow each other directly.',
  },
  reversal_of_reversal: {
    status: 422,
    title: 'A reversal cannot be reversed',
    meaning: 'Post the original transfer anew instead.',
  },
  reversal_exceeds_transfer: {
    status: 422,
    title: 'More than is left would be reversed',
    meaning:
      'The reversals of a transfer together never take back more of a leg than it moved. `left` says what can still be reversed of `leg`.',
  },
  partial_reversal_ambiguous: {
    status: 422,
    title: 'Which legs to reverse is not clear',
    meaning:
      'An `amount` alone is enough for a transfer of one debit and one credit. For others give `legs`, each with its number and amount.',
  },
  hold_not_found: {
    status: 404,
    title: 'No such hold',
    meaning: 'No hold with this id belongs to the tenant and environment of the key.',
  },
  hold_closed: {
    status: 422,
    title: 'Nothing remains of the hold',
    meaning: 'All of it was captured or released. Place another hold.',
  },
  hold_expired: {
    status: 422,
    title: 'The hold has expired',
    meaning: 'What remained of it was released when its time had come. Place another hold.',
  },
  hold_reserved: {
    status: 422,
    title: 'The hold stands for something else',
    meaning:
      'It keeps money for what is decided elsewhere, as a proposal that waits for approval; `reserved_for` names it. It ends with that, and nobody captures, releases or changes it meanwhile.',
  },
  reservation_lost: {
    status: 409,
    title: 'What was set aside is gone',
    meaning:
      'A hold that kept the money for this was captured or released otherwise, so that it cannot be said any more whose the money is. Nothing was done.',
  },
  hold_not_due: {
    status: 422,
    title: 'The hold has not expired',
    meaning: 'Only the system expires holds, when their time has come.',
  },
  amount_exceeds_hold: {
    status: 422,
    title: 'More than remains of the hold',
    meaning:
      'A capture or release takes at most what remains. `remaining` says how much; increment the hold first to capture more.',
  },
  expiry_in_the_past: {
    status: 422,
    title: 'The hold would have expired already',
    meaning: '`expires_at` must lie in the future.',
  },
  expiry_not_later: {
    status: 422,
    title: 'The hold would not last longer',
    meaning:
      'Extending moves `expires_at` to a later time. A hold without one lasts until it is captured or released.',
  },
  chart_code_not_found: {
    status: 422,
    title: 'No such code in the chart of accounts',
    meaning: 'Add it to the chart first: `POST /api/v2/chart-of-accounts`.',
  },
  chart_code_taken: {
    status: 409,
    title: 'The code is taken',
    meaning: 'The chart of accounts has this code already.',
  },
  chart_type_mismatch: {
    status: 422,
    title: 'The type is not that of the heading',
    meaning: 'What stands below a heading of the chart of accounts is of its type.',
  },
  position_in_the_future: {
    status: 422,
    title: 'The ledger has not reached this position',
    meaning:
      '`at_position` is later than the last position. The `Ledger-Position` header says which that is.',
  },
  position_not_reached: {
    status: 503,
    title: 'The ledger has not come so far yet',
    meaning:
      'What was read is older than `min_position`. Retry after `Retry-After` seconds; a position that no answer ever told is never reached.',
  },
  attempt_not_found: {
    status: 404,
    title: 'No attempt with this key',
    meaning:
      'Nothing was asked with this Idempotency-Key, or it was never received. It is safe to send the request.',
  },
  v1_insufficient_funds: {
    status: 400,
    title: 'Not enough funds',
    meaning:
      'Of /api/v1 only, where this has always been a 400: the transfer would take the source account further below zero than it may go. /api/v2 answers `insufficient_funds` and says by how much.',
  },
  v1_refused: {
    status: 400,
    title: 'A rule of the ledger refused it',
    meaning:
      'Of /api/v1 only, which knows no other status for a refusal: `reason` is the code that /api/v2 gives for the same, and its page explains it.',
  },
  period_closed: {
    status: 422,
    title: 'The books are closed',
    meaning:
      'The effective date is on or before `closed_through`, the last day that is closed. Post it with a later effective date, or have the period reopened.',
  },
  period_close_invalid: {
    status: 422,
    title: 'The books cannot be closed up to this day',
    meaning:
      'A closing ends later than the one before and before today (UTC), since what is posted today would be refused otherwise.',
  },
  period_close_not_found: {
    status: 404,
    title: 'No such closing',
    meaning: 'No closing of a period with this id belongs to the tenant and environment of the key.',
  },
  period_not_last: {
    status: 422,
    title: 'A later period is closed',
    meaning: 'Periods are reopened in the other order than they were closed: the last one first.',
  },
  statement_too_long: {
    status: 422,
    title: 'The statement is too long for a PDF',
    meaning:
      'A statement as PDF has at most `most` entries. Ask for a shorter period, or for CSV, which has no such bound.',
  },
  period_invalid: {
    status: 422,
    title: 'The period is not valid',
    meaning:
      '`from` must not be later than `to`, nor so far from it that more is asked for than is told at once.',
  },
});

type Code = keyof typeof refuse.types;

/** Whether a code is one of the ledger's catalogue. */
export function isCode(code: string): code is Code {
  return Object.hasOwn(refuse.types, code);
}

/** A refusal in words, as `ledger.attempts` keeps it. */
export function refusalText({ code, message, extra }: Problem): string {
  return JSON.stringify({ code, detail: { message, extra } });
}
