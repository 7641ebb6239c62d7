import { Badge, Button, Group, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { type BodyOf, get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section } from '../../ui/facts.tsx';
import { Money, moneyText } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { useReportsWords } from './reports-words.ts';

export function Page() {
  const t = useReportsWords();
  return (
    <Stack gap="sm">
      <title>{`${t('trial_balance')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('trial_balance')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('trial_about')}
      </Text>
      <Permitted permission="trial_balance:read">
        <TrialBalance />
      </Permitted>
    </Stack>
  );
}

function TrialBalance() {
  const t = useReportsWords();
  const [search, setSearch] = useSearchParams();
  const day = search.get('effective_on') ?? '';
  const query = day === '' ? {} : { effective_on: day };
  const found = useQuery({
    queryKey: ['trial-balance', day],
    queryFn: () => get('/api/v2/trial-balance', { query }),
  });
  const choose = (chosen: string) =>
    setSearch(chosen === '' ? {} : { effective_on: chosen }, { replace: true });
  return (
    <Stack gap="sm">
      <Group align="flex-end" gap="xs">
        <TextInput
          type="date"
          label={t('effective_on')}
          value={day}
          onChange={(event) => choose(event.currentTarget.value)}
        />
        {day !== '' && (
          <Button variant="subtle" onClick={() => choose('')}>
            {t('now')}
          </Button>
        )}
        <Group ml="auto">
          <ApiCallButton calls={[{ method: 'GET', path: '/api/v2/trial-balance', query }]} />
        </Group>
      </Group>
      {found.isError ? (
        <Refused error={found.error} retry={() => void found.refetch()} />
      ) : found.data === undefined ? (
        <Loading />
      ) : found.data.totals.length === 0 ? (
        <Section>
          <Empty>{t('nothing')}</Empty>
        </Section>
      ) : (
        <BalanceTables balance={found.data} />
      )}
      {found.data !== undefined && (
        <Text size="xs" c="dimmed">
          {t('as_of', { position: found.data.as_of.position })}
        </Text>
      )}
    </Stack>
  );
}

/** The lines of a trial balance, a table for each currency. */
export function BalanceTables({
  balance,
}: {
  balance: Pick<BodyOf<'/api/v2/trial-balance'>, 'lines' | 'totals'>;
}) {
  const t = useReportsWords();
  const locale = useLocale();
  return (
    <>
      {balance.totals.map((total) => (
        <Section
          key={total.currency}
          title={total.currency}
          aside={
            <Badge variant="light" color={isZero(total.difference.amount) ? 'teal' : 'red'} tt="none">
              {isZero(total.difference.amount)
                ? t('balanced')
                : t('difference', { amount: moneyText(total.difference, locale) })}
            </Badge>
          }
        >
          <Table.ScrollContainer minWidth={460}>
            <Table fz="sm" verticalSpacing={4}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('code')}</Table.Th>
                  <Table.Th>{t('name')}</Table.Th>
                  <Table.Th ta="right">{t('accounts')}</Table.Th>
                  <Table.Th ta="right">{t('debits')}</Table.Th>
                  <Table.Th ta="right">{t('credits')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {balance.lines
                  .filter(({ currency }) => currency === total.currency)
                  .map((line) => (
                    <Table.Tr key={line.chart_code}>
                      <Table.Td>{line.chart_code}</Table.Td>
                      <Table.Td>{line.name}</Table.Td>
                      <Table.Td ta="right">{line.accounts.toLocaleString(locale)}</Table.Td>
                      <Table.Td ta="right">
                        {!isZero(line.debit_balance.amount) && <Money value={line.debit_balance} />}
                      </Table.Td>
                      <Table.Td ta="right">
                        {!isZero(line.credit_balance.amount) && <Money value={line.credit_balance} />}
                      </Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
              <Table.Tfoot>
                <Table.Tr>
                  <Table.Th colSpan={2}>{t('total', { currency: total.currency })}</Table.Th>
                  <Table.Th ta="right">{total.accounts.toLocaleString(locale)}</Table.Th>
                  <Table.Th ta="right">
                    <Money value={total.debits} fw={700} />
                  </Table.Th>
                  <Table.Th ta="right">
                    <Money value={total.credits} fw={700} />
                  </Table.Th>
                </Table.Tr>
              </Table.Tfoot>
            </Table>
          </Table.ScrollContainer>
        </Section>
      ))}
    </>
  );
}

function isZero(amount: string): boolean {
  return /^-?0(\.0+)?$/.test(amount);
}
