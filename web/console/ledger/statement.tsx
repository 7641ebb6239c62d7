/** The statement of an account for a period: seen here, and kept as CSV or PDF. */
import { Anchor, Button, Group, Paper, Select, Stack, Table, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { Fragment } from 'react';
import { Link, useSearchParams } from 'react-router';
import { type BodyOf, get } from '../../api/client.ts';
import { download } from '../../api/download.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { DayText, Money, type MoneyValue } from '../../ui/figures.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLanguage } from '../../ui/words.ts';
import { useLedgerWords } from './ledger-words.ts';

const path = '/api/v2/accounts/{account_id}/statement';

/** The first day of this month and today, as the ledger counts days. */
function thisMonth(): { from: string; to: string } {
  const to = new Date().toISOString().slice(0, 10);
  return { from: `${to.slice(0, 8)}01`, to };
}

export function Statement({ account }: { account: BodyOf<'/api/v2/accounts/{account_id}'> }) {
  const t = useLedgerWords();
  const language = useLanguage();
  const [search, setSearch] = useSearchParams();
  const first = thisMonth();
  const asked = {
    from: search.get('from') ?? first.from,
    to: search.get('to') ?? first.to,
    by: search.get('by') === 'recorded' ? 'recorded' : 'effective',
  } as const;
  const ids = { account_id: account.id };
  const choose = (changes: Partial<Record<keyof typeof asked, string>>) =>
    setSearch({ tab: 'statement', ...asked, ...changes }, { replace: true });
  const pages = useInfiniteQuery({
    queryKey: ['statement', account.id, asked],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      get(path, { ids, query: { ...asked, ...(pageParam === '' ? {} : { cursor: pageParam }) } }),
    getNextPageParam: ({ next_cursor }) => next_cursor,
  });
  const keeping = useMutation({
    mutationFn: (format: 'csv' | 'pdf') => download({ path, ids, query: { ...asked, format }, language }),
  });
  const statement = pages.data?.pages[0];
  return (
    <Stack gap="sm">
      <Group gap="xs" align="flex-end">
        <TextInput
          label={t('from_day')}
          type="date"
          required
          value={asked.from}
          onChange={(event) => choose({ from: event.currentTarget.value })}
        />
        <TextInput
          label={t('to_day')}
          type="date"
          required
          value={asked.to}
          onChange={(event) => choose({ to: event.currentTarget.value })}
        />
        <Select
          label={t('statement_by')}
          allowDeselect={false}
          data={[
            { value: 'effective', label: t('by_effective') },
            { value: 'recorded', label: t('by_recorded') },
          ]}
          value={asked.by}
          onChange={(by) => choose({ by: by ?? 'effective' })}
        />
        <Group gap={6} ml="auto">
          <ApiCallButton calls={[{ method: 'GET', path, ids, query: asked }]} />
          {(['csv', 'pdf'] as const).map((format) => (
            <Button
              key={format}
              variant="default"
              leftSection={<Download size={14} />}
              loading={keeping.isPending && keeping.variables === format}
              onClick={() => keeping.mutate(format)}
            >
              {format.toUpperCase()}
            </Button>
          ))}
        </Group>
      </Group>
      {keeping.isError && <Refused error={keeping.error} />}
      {pages.isError ? (
        <Refused error={pages.error} retry={() => void pages.refetch()} />
      ) : statement === undefined ? (
        <Loading />
      ) : (
        <Paper withBorder>
          <Table.ScrollContainer minWidth={520}>
            <Table fz="sm" verticalSpacing={6}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('date')}</Table.Th>
                  <Table.Th>{t('description')}</Table.Th>
                  <Table.Th ta="right">{t('debit')}</Table.Th>
                  <Table.Th ta="right">{t('credit')}</Table.Th>
                  <Table.Th ta="right">{t('balance')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                <SumRow name={t('opening_balance')} balance={statement.opening_balance} />
                {pages.data?.pages.map((page) => (
                  <Fragment key={page.next_cursor ?? 'last'}>
                    {page.data.map((entry) => (
                      <Table.Tr key={`${entry.transfer_id} ${entry.leg}`}>
                        <Table.Td>
                          <DayText date={entry.effective_date} />
                        </Table.Td>
                        <Table.Td style={{ overflowWrap: 'anywhere' }}>
                          <Anchor component={Link} to={`/transfers/${entry.transfer_id}`} size="sm">
                            {entry.description ?? `…${entry.transfer_id.slice(-6)}`}
                          </Anchor>
                        </Table.Td>
                        <Table.Td ta="right">
                          {entry.side === 'debit' && <Money value={entry.amount} />}
                        </Table.Td>
                        <Table.Td ta="right">
                          {entry.side === 'credit' && <Money value={entry.amount} />}
                        </Table.Td>
                        <Table.Td ta="right">
                          <Money value={entry.balance} />
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Fragment>
                ))}
                {!pages.hasNextPage && (
                  <SumRow
                    name={t('closing_balance')}
                    debits={statement.debits}
                    credits={statement.credits}
                    balance={statement.closing_balance}
                  />
                )}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {pages.hasNextPage && (
            <Group justify="space-between" p="sm">
              <Text size="sm">
                {t('closing_balance')}: <Money value={statement.closing_balance} fw={600} />
              </Text>
              <Button
                variant="default"
                loading={pages.isFetchingNextPage}
                onClick={() => void pages.fetchNextPage()}
              >
                {t('more_entries')}
              </Button>
            </Group>
          )}
        </Paper>
      )}
    </Stack>
  );
}

function SumRow({
  name,
  balance,
  debits,
  credits,
}: {
  name: string;
  balance: MoneyValue;
  debits?: MoneyValue;
  credits?: MoneyValue;
}) {
  return (
    <Table.Tr>
      <Table.Td />
      <Table.Td fw={600}>{name}</Table.Td>
      <Table.Td ta="right">{debits !== undefined && <Money value={debits} fw={600} />}</Table.Td>
      <Table.Td ta="right">{credits !== undefined && <Money value={credits} fw={600} />}</Table.Td>
      <Table.Td ta="right">
        <Money value={balance} fw={600} />
      </Table.Td>
    </Table.Tr>
  );
}
