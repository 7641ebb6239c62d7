import { Badge, Button } from '@mantine/core';
import { FileUp } from 'lucide-react';
import { Link } from 'react-router';
import { CopyId } from '../../ui/copy-id.tsx';
import { DayText, Moment, Money } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useMay } from '../../ui/self.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { amountOf, sidesOf } from './legs.ts';

const kinds = ['transfer', 'reversal', 'capture'] as const;

export function Page() {
  const t = useLedgerWords();
  const may = useMay();
  const kindWord = (kind: (typeof kinds)[number]) => t(kind === 'transfer' ? 'transfer_kind' : kind);
  const accounts = (ids: readonly string[]) =>
    ids.length === 1 && ids[0] !== undefined ? (
      <CopyId id={ids[0]} to={`/accounts/${ids[0]}`} short />
    ) : (
      t('several', { count: ids.length })
    );
  return (
    <ListPage
      title={t('transfers')}
      about={t('transfers_about')}
      path="/api/v2/transfers"
      permission="transfers:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/transfers/${id}`}
      actions={
        may('transfers:post') && (
          <Button
            variant="default"
            component={Link}
            to="/transfers/upload"
            leftSection={<FileUp size={14} />}
          >
            {t('upload_file')}
          </Button>
        )
      }
      filters={[
        { name: 'account_id', label: t('account_id') },
        {
          name: 'kind',
          label: t('kind'),
          choices: kinds.map((value) => ({ value, label: kindWord(value) })),
        },
        { name: 'amount', label: t('amount_exactly') },
        { name: 'created_from', label: t('created_from'), kind: 'day_begins' },
        { name: 'created_to', label: t('created_to'), kind: 'day_ends' },
        { name: 'effective_from', label: t('effective_from'), kind: 'day' },
        { name: 'effective_to', label: t('effective_to'), kind: 'day' },
      ]}
      columns={[
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/transfers/${id}`} short />,
        },
        { name: 'description', title: t('description'), value: ({ description }) => description },
        {
          name: 'kind',
          title: t('kind'),
          value: ({ kind }) => kind,
          show: ({ kind }) => (
            <Badge size="sm" variant="light" color={kind === 'reversal' ? 'orange' : 'gray'}>
              {kindWord(kind)}
            </Badge>
          ),
          wide: true,
        },
        {
          name: 'debited',
          title: t('from_account'),
          value: (transfer) => sidesOf(transfer).debited.join(' '),
          show: (transfer) => accounts(sidesOf(transfer).debited),
          wide: true,
        },
        {
          name: 'credited',
          title: t('to_account'),
          value: (transfer) => sidesOf(transfer).credited.join(' '),
          show: (transfer) => accounts(sidesOf(transfer).credited),
          wide: true,
        },
        {
          name: 'amount',
          title: t('amount'),
          value: (transfer) => amountOf(transfer).amount,
          show: (transfer) => <Money value={amountOf(transfer)} />,
          align: 'right',
          order: 'number',
        },
        {
          name: 'effective_date',
          title: t('date'),
          value: ({ effective_date }) => effective_date,
          show: ({ effective_date }) => <DayText date={effective_date} />,
          wide: true,
        },
        {
          name: 'created_at',
          title: t('created'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
      ]}
    />
  );
}
