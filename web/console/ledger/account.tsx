import { Badge, Button, Group, Stack, Table, Tabs, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Snowflake } from 'lucide-react';
import { type ReactNode, useMemo } from 'react';
import { Link, useParams, useSearchParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { listRows } from '../../api/lists.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { DayText, Moment, Money, moneyText, roundMoneyText } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Chart } from '../../ui/lazy-chart.tsx';
import { List } from '../../ui/list-page.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { CloseAccountButton, EditAccountButton } from './account-acts.tsx';
import { useHoldColumns, useHoldStates } from './holds.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { Statement } from './statement.tsx';
import { AccountStatus } from './status.tsx';

type Account = BodyOf<'/api/v2/accounts/{account_id}'>;

export function Page() {
  return (
    <Permitted permission="accounts:read">
      <AccountPage />
    </Permitted>
  );
}

function AccountPage() {
  const t = useLedgerWords();
  const may = useMay();
  const [search, setSearch] = useSearchParams();
  const { account_id = '' } = useParams();
  const found = useQuery({
    queryKey: ['account', account_id],
    queryFn: () => get('/api/v2/accounts/{account_id}', { ids: { account_id } }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const account = found.data;
  const tabs = (['entries', 'statement', 'holds', 'balance_over_time', 'explain', 'details'] as const).filter(
    (name) => name !== 'holds' || may('holds:read'),
  );
  const tab = tabs.find((name) => name === search.get('tab')) ?? 'entries';
  return (
    <Stack gap="sm">
      <ThingHead
        title={account.name}
        id={account.id}
        badge={<AccountStatus status={account.status} />}
        actions={
          <>
            <PayButton account={account} />
            <EditAccountButton account={account} />
            <FreezeButton account={account} />
            <CloseAccountButton account={account} />
            <HistoryButton subject={account.id} />
            <ApiCallButton
              calls={[
                { method: 'GET', path: `/api/v2/accounts/${account.id}` },
                { method: 'GET', path: `/api/v2/accounts/${account.id}/entries`, query: { limit: '25' } },
              ]}
            />
          </>
        }
      />
      <Group gap="xl" align="flex-start">
        <div>
          <Text size="xs" c="dimmed">
            {t('balance')}
          </Text>
          <Text size="xl" fw={600}>
            <Money value={account.balance} />
          </Text>
        </div>
        <div>
          <Text size="xs" c="dimmed">
            {t('available')}
          </Text>
          <Text size="xl">
            {account.available === null ? t('no_limit') : <Money value={account.available} />}
          </Text>
        </div>
      </Group>
      <Tabs
        value={tab}
        // What one list is filtered by is nothing to the next.
        onChange={(chosen) => setSearch(chosen === null || chosen === 'entries' ? {} : { tab: chosen })}
        keepMounted={false}
      >
        <Tabs.List>
          {tabs.map((name) => (
            <Tabs.Tab key={name} value={name}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="entries" pt="sm">
          <Entries account={account} />
        </Tabs.Panel>
        <Tabs.Panel value="statement" pt="sm">
          <Statement account={account} />
        </Tabs.Panel>
        <Tabs.Panel value="holds" pt="sm">
          <Holds account={account} />
        </Tabs.Panel>
        <Tabs.Panel value="balance_over_time" pt="sm">
          <BalanceOverTime account={account} />
        </Tabs.Panel>
        <Tabs.Panel value="explain" pt="sm">
          <Explanation account={account} />
        </Tabs.Panel>
        <Tabs.Panel value="details" pt="sm">
          <Details account={account} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function PayButton({ account }: { account: Account }) {
  const t = useLedgerWords();
  const may = useMay();
  if (account.status !== 'open' || !may('transfers:post')) return null;
  return (
    <Button component={Link} to={`/transfers/new?from=${account.id}`}>
      {t('new_transfer')}
    </Button>
  );
}

/** Stops everything that would move on an account, or lets it move again. */
function FreezeButton({ account }: { account: Account }) {
  const t = useLedgerWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  if (account.status === 'closed' || !may('accounts:freeze')) return null;
  const isFrozen = account.status === 'frozen';
  const path = isFrozen ? '/api/v2/accounts/{account_id}/unfreeze' : '/api/v2/accounts/{account_id}/freeze';
  const ids = { account_id: account.id };
  const verb = t(isFrozen ? 'unfreeze' : 'freeze');
  return (
    <>
      <Button variant="default" leftSection={<Snowflake size={14} />} onClick={open}>
        {verb}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={`${verb}: ${account.name}`}
        consequence={t(isFrozen ? 'unfreeze_consequence' : 'freeze_consequence')}
        verb={verb}
        {...(isFrozen ? {} : { danger: 'undoable' })}
        run={(key) => act('post', path, { ids, key })}
        call={{ method: 'POST', path, ids, idempotent: true }}
      />
    </>
  );
}

function Entries({ account }: { account: Account }) {
  const t = useLedgerWords();
  return (
    <List
      path="/api/v2/accounts/{account_id}/entries"
      ids={{ account_id: account.id }}
      permission="accounts:read"
      keyOf={({ transfer_id, leg }) => `${transfer_id} ${leg}`}
      to={({ transfer_id }) => `/transfers/${transfer_id}`}
      filters={[
        {
          name: 'side',
          label: t('side'),
          choices: (['debit', 'credit'] as const).map((value) => ({ value, label: t(value) })),
        },
        { name: 'effective_from', label: t('from_day'), kind: 'day' },
        { name: 'effective_to', label: t('to_day'), kind: 'day' },
      ]}
      columns={[
        {
          name: 'effective_date',
          title: t('date'),
          value: ({ effective_date }) => effective_date,
          show: ({ effective_date }) => <DayText date={effective_date} />,
        },
        { name: 'description', title: t('description'), value: ({ description }) => description, wide: true },
        {
          name: 'counterparty',
          title: t('counterparty'),
          value: ({ counterparties }) => counterparties.join(' '),
          show: ({ counterparties }) => (
            <Stack gap={0}>
              {counterparties.slice(0, 3).map((id) => (
                <CopyId key={id} id={id} to={`/accounts/${id}`} short />
              ))}
              {counterparties.length > 3 && t('several', { count: counterparties.length })}
            </Stack>
          ),
          wide: true,
        },
        {
          name: 'debit',
          title: t('debit'),
          value: ({ side, amount }) => (side === 'debit' ? amount.amount : ''),
          show: ({ side, amount }) => (side === 'debit' ? <Money value={amount} /> : ''),
          align: 'right',
          order: 'number',
        },
        {
          name: 'credit',
          title: t('credit'),
          value: ({ side, amount }) => (side === 'credit' ? amount.amount : ''),
          show: ({ side, amount }) => (side === 'credit' ? <Money value={amount} /> : ''),
          align: 'right',
          order: 'number',
        },
        {
          name: 'balance',
          title: t('running_balance'),
          value: ({ balance }) => balance.amount,
          show: ({ balance }) => <Money value={balance} />,
          align: 'right',
          order: 'number',
        },
        {
          name: 'position',
          title: t('position'),
          value: ({ position }) => position,
          align: 'right',
          order: 'number',
          wide: true,
        },
      ]}
    />
  );
}

function Holds({ account }: { account: Account }) {
  const columns = useHoldColumns();
  const status = useHoldStates();
  return (
    <List
      path="/api/v2/holds"
      fixed={{ account_id: account.id }}
      permission="holds:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/holds/${id}`}
      filters={[status]}
      columns={columns}
    />
  );
}

function BalanceOverTime({ account }: { account: Account }) {
  const t = useLedgerWords();
  const locale = useLocale();
  const entries = useQuery({
    queryKey: ['balance-over-time', account.id],
    queryFn: () =>
      listRows('/api/v2/accounts/{account_id}/entries', { limit: '100' }, { account_id: account.id }),
  });
  const series = useMemo(() => {
    const points = (entries.data?.data ?? [])
      .toReversed()
      .map(({ created_at, balance }) => [Date.parse(created_at), Number(balance.amount)] as const);
    return [{ name: t('balance'), kind: 'line' as const, points }];
  }, [entries.data, t]);
  const format = useMemo(
    () => (value: number) => roundMoneyText(value, account.currency, locale),
    [account.currency, locale],
  );
  if (entries.isError) return <Refused error={entries.error} retry={() => void entries.refetch()} />;
  if (entries.data === undefined) return <Loading />;
  const about = t('balance_over_time_about', { count: entries.data.data.length });
  return (
    <Section title={t('balance_over_time')}>
      <Text size="sm" c="dimmed">
        {about}
      </Text>
      <Chart label={`${account.name}: ${about}`} axis="time" series={series} format={format} height={280} />
    </Section>
  );
}

/** How the balance and what is available of it come about, as a sum that can be checked. */
function Explanation({ account }: { account: Account }) {
  const t = useLedgerWords();
  const locale = useLocale();
  const held = account.normal_side === 'credit' ? account.debits_pending : account.credits_pending;
  const posted = t('explain_posted', {
    side: t(account.normal_side),
    credits: moneyText(account.credits_posted, locale),
    debits: moneyText(account.debits_posted, locale),
  });
  const { available } = account;
  return (
    <Section title={t('explain')}>
      <Table w="auto">
        <Table.Tbody>
          <Summand figure={<Money value={account.balance} />} reason={posted} />
          {available !== null && (
            <>
              <Summand
                figure={<Money value={{ ...held, amount: `-${held.amount}` }} />}
                reason={t('explain_held')}
              />
              <Summand figure={<Money value={account.credit_limit} />} reason={t('explain_limit')} />
              <Summand figure={<Money value={available} fw={700} />} reason={`= ${t('explain_available')}`} />
            </>
          )}
        </Table.Tbody>
      </Table>
      {account.available === null && <Text size="sm">{t('explain_unlimited')}</Text>}
      <Text size="sm">
        {t('rule_below_zero')}{' '}
        {account.credit_limit === null ? (
          t('rule_unlimited')
        ) : isZero(account.credit_limit.amount) ? (
          t('rule_none')
        ) : (
          <Money value={account.credit_limit} />
        )}
      </Text>
      {!account.may_send && <Text size="sm">{t('rule_no_sending')}</Text>}
      {!account.may_receive && <Text size="sm">{t('rule_no_receiving')}</Text>}
      {account.status !== 'open' && <Text size="sm">{t(`rule_${account.status}`)}</Text>}
    </Section>
  );
}

function isZero(amount: string): boolean {
  return /^-?0(\.0+)?$/.test(amount);
}

function Summand({ figure, reason }: { figure: ReactNode; reason: string }) {
  return (
    <Table.Tr>
      <Table.Td ta="right">{figure}</Table.Td>
      <Table.Td>{reason}</Table.Td>
    </Table.Tr>
  );
}

function Details({ account }: { account: Account }) {
  const t = useLedgerWords();
  const labels = Object.entries(account.metadata);
  return (
    <Section>
      <Facts
        facts={[
          [t('chart_code'), account.chart_code],
          [t('type'), t(account.type)],
          [t('currency'), account.currency],
          [
            t('credit_limit'),
            account.credit_limit === null ? t('no_limit') : <Money key="m" value={account.credit_limit} />,
          ],
          [t('may_send'), t(account.may_send ? 'yes' : 'no')],
          [t('may_receive'), t(account.may_receive ? 'yes' : 'no')],
          [t('created'), <Moment key="c" at={account.created_at} />],
          [t('updated'), <Moment key="u" at={account.updated_at} />],
          [
            t('labels'),
            labels.length === 0 ? (
              t('no_labels')
            ) : (
              <Group key="l" gap={4}>
                {labels.map(([name, value]) => (
                  <Badge key={name} variant="default" tt="none">
                    {name}: {value}
                  </Badge>
                ))}
              </Group>
            ),
          ],
        ]}
      />
    </Section>
  );
}
