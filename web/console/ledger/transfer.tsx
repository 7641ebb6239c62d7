import { Badge, Group, Stack, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { DayText, Moment, Money } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { AccountLink } from './account-link.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { ReverseButton } from './reverse.tsx';
import { TransferTimeline } from './timeline.tsx';

export function Page() {
  return (
    <Permitted permission="transfers:read">
      <TransferPage />
    </Permitted>
  );
}

function TransferPage() {
  const t = useLedgerWords();
  const { transfer_id = '' } = useParams();
  const found = useQuery({
    queryKey: ['transfer', transfer_id],
    queryFn: () => get('/api/v2/transfers/{transfer_id}', { ids: { transfer_id } }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const transfer = found.data;
  const title = transfer.description ?? t(transfer.kind === 'transfer' ? 'transfer' : transfer.kind);
  return (
    <Stack gap="sm">
      <ThingHead
        title={title}
        id={transfer.id}
        badge={
          <Badge size="sm" variant="light" color={transfer.kind === 'reversal' ? 'orange' : 'gray'}>
            {t(transfer.kind === 'transfer' ? 'transfer_kind' : transfer.kind)}
          </Badge>
        }
        actions={
          <>
            <ReverseButton transfer={transfer} />
            <HistoryButton subject={transfer.id} />
            <ApiCallButton calls={[{ method: 'GET', path: `/api/v2/transfers/${transfer.id}` }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('position'), String(transfer.position)],
            [t('date'), <DayText key="d" date={transfer.effective_date} />],
            [t('created'), <Moment key="c" at={transfer.created_at} />],
            ...(transfer.reverses_id === undefined
              ? []
              : [
                  [
                    t('reverses'),
                    <CopyId key="r" id={transfer.reverses_id} to={`/transfers/${transfer.reverses_id}`} />,
                  ] as const,
                ]),
            ...(transfer.reversed_by.length === 0
              ? []
              : [
                  [
                    t('reversed_by'),
                    <Stack key="b" gap={0}>
                      {transfer.reversed_by.map((id) => (
                        <CopyId key={id} id={id} to={`/transfers/${id}`} />
                      ))}
                    </Stack>,
                  ] as const,
                ]),
            ...(transfer.hold_id === undefined
              ? []
              : [
                  [
                    t('of_hold'),
                    <CopyId key="h" id={transfer.hold_id} to={`/holds/${transfer.hold_id}`} />,
                  ] as const,
                ]),
          ]}
        />
        {Object.keys(transfer.metadata).length > 0 && (
          <Group gap={4}>
            {Object.entries(transfer.metadata).map(([name, value]) => (
              <Badge key={name} variant="default" tt="none">
                {name}: {value}
              </Badge>
            ))}
          </Group>
        )}
      </Section>
      <Section title={t('entries')}>
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('account')}</Table.Th>
                <Table.Th ta="right">{t('debit')}</Table.Th>
                <Table.Th ta="right">{t('credit')}</Table.Th>
                <Table.Th ta="right">{t('running_balance')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {transfer.entries.map((entry) => (
                <Table.Tr key={entry.leg}>
                  <Table.Td>
                    <AccountLink id={entry.account_id} />
                  </Table.Td>
                  <Table.Td ta="right">{entry.side === 'debit' && <Money value={entry.amount} />}</Table.Td>
                  <Table.Td ta="right">{entry.side === 'credit' && <Money value={entry.amount} />}</Table.Td>
                  <Table.Td ta="right">
                    <Money value={entry.balance} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Section>
      <TransferTimeline transfer={transfer} />
    </Stack>
  );
}
