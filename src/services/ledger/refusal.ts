/** What `ledger.post` refused, in the words of the API. */

import type { Attempt } from '../../platform/idempotency.ts';
import { keyReused } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { formatMoney, type Money } from '../../platform/money.ts';
import { Problem } from '../../platform/problem.ts';
import { isCode, refuse } from './errors.ts';
import type { Command, Outcome } from './posting.ts';

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function moneyOf(detail: Record<string, unknown>, name: string): Money | undefined {
  const minor = text(detail[name]);
  const currency = text(detail['currency']);
  return minor === undefined || currency === undefined ? undefined : formatMoney(BigInt(minor), currency);
}

export function holdReserved(uuid: string, reserved_for: string): Problem {
  return refuse('hold_reserved', `${formatId('hld', uuid)} stands for ${reserved_for}.`, { reserved_for });
}

function holdOf(command: Command): string {
  return command.ref === undefined ? '' : formatId('hld', command.ref);
}

/** The problem that a refused outcome is answered with. Throws if the outcome is none. */
export function refusalOf(command: Command, outcome: Outcome): Problem {
  const problem = inWords(command, outcome);
  problem.replayed = outcome.replayed && outcome.code !== 'idempotency_key_reused';
  return problem;
}

/**
 * The command that `build` makes of a request; where the request breaks a rule by itself, a command that does nothing
 * but keep this refusal under the key.
 */
export function commandOrRefusal(
  attempt: Attempt & Pick<Command, 'item' | 'request' | 'group' | 'link_id'>,
  build: () => Command,
): Command {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof Problem) || error.type.status !== 422) throw error;
    return { id: newUuid(), kind: 'transfer', ...attempt, event: '{}', legs: [], refused: error };
  }
}

function inWords(command: Command, outcome: Outcome): Problem {
  const { code } = outcome;
  const detail = outcome.detail ?? {};
  if (code === 'idempotency_key_reused') {
    return keyReused(
      command.key,
      { operation: text(detail['first_operation']) ?? null, request: outcome.first_request ?? 'null' },
      { operation: command.operation, request: command.request },
    );
  }
  if (code === null || !isCode(code))
    throw new Error(`ledger.post came to ${String(code)}, which is no refusal`);

  // What the request said itself was refused in words already.
  const message = text(detail['message']);
  if (message !== undefined) return refuse(code, message, { ...Object(detail['extra']) });
  const accountUuid = text(detail['account_id']);
  const account = accountUuid === undefined ? undefined : formatId('acc', accountUuid);
  const extra = account === undefined ? {} : { account_id: account };
  switch (code) {
    case 'insufficient_funds': {
      const short = moneyOf(detail, 'short');
      return refuse(code, `Account ${account} is short of ${short?.amount} ${short?.currency}.`, {
        ...extra,
        short,
      });
    }
    case 'limit_exceeded': {
      const limit = String(detail['limit']);
      const currency = String(detail['currency']);
      const [allowed, left] = [moneyOf(detail, 'allowed'), moneyOf(detail, 'left')];
      return refuse(
        code,
        limit === 'currency'
          ? `The key may move no ${currency}.`
          : `The key may move ${allowed?.amount} ${currency} ${limit === 'per_day' ? 'a day' : 'at once'}; ${left?.amount} ${currency} are left.`,
        { limit, currency, ...(limit === 'currency' ? {} : { allowed, left }) },
      );
    }
    case 'period_closed': {
      const closed_through = text(detail['closed_through']);
      const effective_date = text(detail['effective_date']);
      return refuse(
        code,
        `The books are closed through ${closed_through}, and this would be effective on ${effective_date}.`,
        { closed_through, effective_date },
      );
    }
    case 'currency_mismatch':
      return refuse(code, `Account ${account} is kept in ${text(detail['account_currency'])}.`, {
        ...extra,
        account_currency: detail['account_currency'],
      });
    case 'account_not_found':
      return refuse(code, `There is no account ${account}.`, extra);
    case 'linked_transfer_refused':
      return refuse(
        code,
        `The transfer at place ${String(detail['refused_index'])} of the link was refused.`,
        {
          refused_index: detail['refused_index'],
        },
      );
    case 'reversal_exceeds_transfer': {
      const left = moneyOf(detail, 'left');
      return refuse(
        code,
        `Of leg ${String(detail['leg'])}, ${left?.amount} ${left?.currency} can still be reversed.`,
        {
          leg: detail['leg'],
          left,
        },
      );
    }
    case 'amount_exceeds_hold': {
      const remaining = moneyOf(detail, 'remaining');
      return refuse(code, `${remaining?.amount} ${remaining?.currency} remain of the hold.`, { remaining });
    }
    case 'hold_closed':
      return refuse(code, `Nothing remains of hold ${holdOf(command)}.`);
    case 'hold_reserved':
      return holdReserved(command.ref ?? '', String(detail['reserved_for']));
    case 'hold_expired':
      return refuse(code, `The time of hold ${holdOf(command)} is over.`);
    case 'expiry_in_the_past':
      return refuse(code, `${command.expires_at} has passed.`);
    case 'expiry_not_later': {
      const current = text(detail['expires_at'])?.replace('+00:00', 'Z');
      return refuse(
        code,
        current === undefined
          ? `Hold ${holdOf(command)} has no end to extend.`
          : `${command.expires_at} is not later than ${current}, when hold ${holdOf(command)} expires.`,
        current === undefined ? {} : { expires_at: current },
      );
    }
    case 'transfer_not_found':
      return refuse(
        code,
        `There is no transfer ${command.ref === undefined ? '' : formatId('trf', command.ref)}.`,
      );
    case 'hold_not_found':
      return refuse(code, `There is no hold ${holdOf(command)}.`);
    default:
      return refuse(
        code,
        account === undefined ? `${refuse.types[code].title}.` : `${refuse.types[code].title}: ${account}.`,
        extra,
      );
  }
}
