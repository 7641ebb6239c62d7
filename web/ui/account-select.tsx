/** Choosing an account by typing part of its name, or its id. */
import { Select, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { get } from '../api/client.ts';
import { listRows, type RowOf } from '../api/lists.ts';
import { moneyText } from './figures.tsx';
import { useLocale } from './words.ts';

export type ChosenAccount = RowOf<'/api/v2/accounts'>;

const TYPING_MS = 250;
const ACCOUNT_ID = /^acc_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

export function AccountSelect({
  label,
  value,
  onChange,
  currency,
}: {
  label: string;
  value: ChosenAccount | null;
  onChange: (account: ChosenAccount | null) => void;
  /** Only accounts in this currency, if it is known. */
  currency?: string | undefined;
}) {
  const locale = useLocale();
  const [typed, setTyped] = useState('');
  const [wanted] = useDebouncedValue(typed.trim(), TYPING_MS);
  const isId = ACCOUNT_ID.test(wanted);
  const found = useQuery({
    queryKey: ['account-select', wanted, currency],
    queryFn: async (): Promise<ChosenAccount[]> => {
      if (isId) return [await get('/api/v2/accounts/{account_id}', { ids: { account_id: wanted } })];
      // What is shown in the field once one was chosen is no search.
      const q = wanted === value?.name ? '' : wanted;
      const { data } = await listRows('/api/v2/accounts', {
        q,
        currency: currency ?? '',
        status: 'open',
        limit: '20',
      });
      return data;
    },
    placeholderData: (before) => before,
  });
  const accounts = new Map((found.data ?? []).map((account) => [account.id, account]));
  if (value !== null) accounts.set(value.id, value);
  return (
    <Select
      label={label}
      required
      searchable
      clearable
      data={[...accounts.values()].map(({ id, name }) => ({ value: id, label: name }))}
      // The server has looked: two accounts may have one name, and an id matches no name.
      filter={({ options }) => options}
      searchValue={typed}
      onSearchChange={setTyped}
      value={value?.id ?? null}
      onChange={(id) => onChange(id === null ? null : (accounts.get(id) ?? null))}
      renderOption={({ option }) => {
        const account = accounts.get(option.value);
        return (
          <div>
            <Text size="sm">{option.label}</Text>
            {account !== undefined && (
              <Text size="xs" c="dimmed">
                {moneyText(account.balance, locale)} · {account.chart_code} · …{account.id.slice(-6)}
              </Text>
            )}
          </div>
        );
      }}
    />
  );
}
