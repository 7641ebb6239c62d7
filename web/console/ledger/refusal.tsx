/** Why the ledger refused something, in words and figures: the accounts it named as they stood then, and the rules of them. */
import { Anchor, Group, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { ApiProblem, get, type ProblemDetails } from '../../api/client.ts';
import { Facts, Section } from '../../ui/facts.tsx';
import { Money, type MoneyValue } from '../../ui/figures.tsx';
import { useMay } from '../../ui/self.tsx';
import { AccountLink } from './account-link.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { AccountStatus } from './status.tsx';

const ACCOUNT_IDS = /acc_[0-7][0-9a-hjkmnp-tv-z]{25}/g;
const HOLD_IDS = /hld_[0-7][0-9a-hjkmnp-tv-z]{25}/g;
/** Of a batch there may be thousands. */
const MOST_ACCOUNTS = 6;

/** Amounts that refusals tell, by their names. */
const amounts = ['short', 'allowed', 'left', 'remaining', 'difference'] as const;

function moneyIn(problem: object, name: string): MoneyValue | undefined {
  const value: unknown = Object.entries(problem).find(([key]) => key === name)?.[1];
  return typeof value === 'object' &&
    value !== null &&
    'amount' in value &&
    'currency' in value &&
    typeof value.amount === 'string' &&
    typeof value.currency === 'string'
    ? { amount: value.amount, currency: value.currency }
    : undefined;
}

/** Codes that are explained in words of their own, beside what the server says. */
const explained = [
  'insufficient_funds',
  'account_frozen',
  'account_closed',
  'account_may_not_send',
  'account_may_not_receive',
  'currency_mismatch',
  'limit_exceeded',
  'account_not_allowed',
  'hold_expired',
  'hold_closed',
  'hold_reserved',
  'amount_exceeds_hold',
  'reversal_exceeds_transfer',
  'linked_transfer_refused',
] as const;

export function WhatStoodAgainst({
  problem,
  request,
  operation = '',
  at,
}: {
  problem: Partial<ProblemDetails>;
  request: unknown;
  /** Method and path, whose ids count, too. */
  operation?: string;
  /** When it was refused; absent: just now. */
  at?: string | undefined;
}) {
  const t = useLedgerWords();
  const may = useMay();
  const code = explained.find((one) => one === problem.code);
  const told = amounts.flatMap((name) => {
    const value = moneyIn(problem, name);
    return value === undefined ? [] : [[t(`refused_${name}`), <Money key={name} value={value} />] as const];
  });
  const text = `${JSON.stringify(problem)} ${operation} ${JSON.stringify(request) ?? ''}`;
  const accounts = [...new Set(text.match(ACCOUNT_IDS) ?? [])];
  const holds = [...new Set(text.match(HOLD_IDS) ?? [])];
  if (code === undefined && told.length === 0 && accounts.length === 0) return null;
  return (
    <Section title={t('stood_against')}>
      {code !== undefined && <Text size="sm">{t(`because_${code}`)}</Text>}
      {told.length > 0 && <Facts facts={told} />}
      {holds.length > 0 && (
        <Group gap="xs">
          {holds.map((id) => (
            <Anchor key={id} size="sm" component={Link} to={`/holds/${id}`}>
              {t('hold')} …{id.slice(-6)}
            </Anchor>
          ))}
        </Group>
      )}
      {accounts.length > 0 && may('accounts:read') && (
        <Stack gap={4}>
          <Table.ScrollContainer minWidth={560}>
            <Table fz="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('account')}</Table.Th>
                  <Table.Th>{t('status_now')}</Table.Th>
                  <Table.Th ta="right">{t(at === undefined ? 'balance_now' : 'balance_then')}</Table.Th>
                  <Table.Th ta="right">{t(at === undefined ? 'available_now' : 'available_then')}</Table.Th>
                  <Table.Th ta="right">{t('credit_limit')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {accounts.slice(0, MOST_ACCOUNTS).map((id) => (
                  <AccountThen key={id} id={id} at={at} isNamed={JSON.stringify(problem).includes(id)} />
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {accounts.length > MOST_ACCOUNTS && (
            <Text size="xs" c="dimmed">
              {t('and_more_accounts', { count: accounts.length - MOST_ACCOUNTS })}
            </Text>
          )}
          {at !== undefined && (
            <Text size="xs" c="dimmed">
              {t('then_about')}
            </Text>
          )}
        </Stack>
      )}
    </Section>
  );
}

function AccountThen({ id, at, isNamed }: { id: string; at: string | undefined; isNamed: boolean }) {
  const t = useLedgerWords();
  const ids = { account_id: id };
  const found = useQuery({
    queryKey: ['account-then', id, at],
    retry: false,
    queryFn: async () => {
      const [account, balance] = await Promise.all([
        get('/api/v2/accounts/{account_id}', { ids }),
        get('/api/v2/accounts/{account_id}/balance', { ids, query: at === undefined ? {} : { at } }),
      ]);
      return { account, balance };
    },
  });
  const shown = found.data;
  return (
    <Table.Tr {...(isNamed ? { fw: 600 } : {})}>
      <Table.Td>
        <AccountLink id={id} />
      </Table.Td>
      {shown === undefined ? (
        <Table.Td colSpan={4} c="dimmed">
          {found.error instanceof ApiProblem ? found.error.problem.title : '…'}
        </Table.Td>
      ) : (
        <>
          <Table.Td>
            <AccountStatus status={shown.account.status} />
          </Table.Td>
          <Table.Td ta="right">
            <Money value={shown.balance.balance} />
          </Table.Td>
          <Table.Td ta="right">
            {shown.balance.available === null ? t('no_limit') : <Money value={shown.balance.available} />}
          </Table.Td>
          <Table.Td ta="right">
            {shown.account.credit_limit === null ? (
              t('no_limit')
            ) : (
              <Money value={shown.account.credit_limit} />
            )}
          </Table.Td>
        </>
      )}
    </Table.Tr>
  );
}
