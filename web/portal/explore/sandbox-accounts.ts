/** Two accounts of one's own sandbox between which one can move money: what examples are filled in with. */
import { useQuery } from '@tanstack/react-query';
import { ApiProblem } from '../../api/client.ts';
import { listRows, type RowOf } from '../../api/lists.ts';
import { isRecord } from './schema-form.tsx';

type Account = RowOf<'/api/v2/accounts'>;

interface AccountPair {
  from: Account;
  to: Account;
}

const ACCOUNT_ID = /^acc_/;

/** Whether an example names accounts. */
export function needsAccounts(example: unknown): boolean {
  if (typeof example === 'string') return ACCOUNT_ID.test(example);
  if (Array.isArray(example)) return example.some(needsAccounts);
  return isRecord(example) && Object.values(example).some(needsAccounts);
}

/** Null where there are no such accounts. */
export function useAccountPair(isWanted: boolean) {
  return useQuery({
    queryKey: ['account-pair'],
    enabled: isWanted,
    queryFn: async (): Promise<AccountPair | null> => {
      const { data } = await listRows('/api/v2/accounts', {
        type: 'liability',
        status: 'open',
        limit: '100',
      }).catch((error: unknown) => {
        // Who may read no accounts fills in the example by hand.
        if (error instanceof ApiProblem && error.problem.status === 403) return { data: [] };
        throw error;
      });
      for (const from of data) {
        if (from.available !== null && !/^[1-9]/.test(from.available.amount)) continue;
        const to = data.find(({ id, currency }) => id !== from.id && currency === from.currency);
        if (to !== undefined) return { from, to };
      }
      return null;
    },
  });
}

/** The example with the accounts instead of its own, and with an amount that there is. */
export function withAccounts(example: unknown, pair: AccountPair | null): unknown {
  if (pair === null) return example;
  let used = 0;
  const replace = (value: unknown, name: string): unknown => {
    if (typeof value === 'string' && ACCOUNT_ID.test(value)) {
      if (name.startsWith('credit')) return pair.to.id;
      if (name.startsWith('debit')) return pair.from.id;
      used += 1;
      return used % 2 === 1 ? pair.from.id : pair.to.id;
    }
    if (Array.isArray(value)) return value.map((one: unknown) => replace(one, name));
    if (!isRecord(value)) return value;
    if (typeof value['amount'] === 'string' && typeof value['currency'] === 'string') {
      return { amount: '1', currency: pair.from.currency };
    }
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replace(one, key)]));
  };
  return replace(example, '');
}
