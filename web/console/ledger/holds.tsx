import { Badge } from '@mantine/core';
import type { RowOf } from '../../api/lists.ts';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment, Money } from '../../ui/figures.tsx';
import { type Column, ListPage } from '../../ui/list-page.tsx';
import { AccountLink } from './account-link.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { PlaceHoldButton } from './place-hold.tsx';

const states = ['active', 'captured', 'released', 'expired'] as const;
const colors = { active: 'blue', captured: 'teal', released: 'gray', expired: 'orange' } as const;

export function HoldStatus({ status }: { status: keyof typeof colors }) {
  const t = useLedgerWords();
  return (
    <Badge size="sm" variant="light" color={colors[status]}>
      {t(status)}
    </Badge>
  );
}

/** What lists of holds show of each. */
export function useHoldColumns() {
  const t = useLedgerWords();
  return [
    {
      name: 'id',
      title: t('id'),
      value: ({ id }) => id,
      show: ({ id }) => <CopyId id={id} to={`/holds/${id}`} short />,
    },
    { name: 'description', title: t('description'), value: ({ description }) => description, wide: true },
    {
      name: 'debited',
      title: t('from_account'),
      value: ({ debit_account_id }) => debit_account_id,
      show: ({ debit_account_id }) => <AccountLink id={debit_account_id} />,
      wide: true,
    },
    {
      name: 'credited',
      title: t('to_account'),
      value: ({ credit_account_id }) => credit_account_id,
      show: ({ credit_account_id }) => <AccountLink id={credit_account_id} />,
      wide: true,
    },
    {
      name: 'status',
      title: t('status'),
      value: ({ status }) => status,
      show: ({ status }) => <HoldStatus status={status} />,
    },
    {
      name: 'remaining',
      title: t('remaining'),
      value: ({ remaining }) => remaining.amount,
      show: ({ remaining }) => <Money value={remaining} />,
      align: 'right',
      order: 'number',
    },
    {
      name: 'expires_at',
      title: t('expires'),
      value: ({ expires_at }) => expires_at,
      show: ({ expires_at }) => (expires_at === undefined ? t('never') : <Moment at={expires_at} />),
      wide: true,
    },
    {
      name: 'created_at',
      title: t('created'),
      value: ({ created_at }) => created_at,
      show: ({ created_at }) => <Moment at={created_at} />,
      wide: true,
    },
  ] satisfies Column<RowOf<'/api/v2/holds'>>[];
}

export function useHoldStates() {
  const t = useLedgerWords();
  return {
    name: 'status',
    label: t('status'),
    choices: states.map((value) => ({ value, label: t(value) })),
  };
}

export function Page() {
  const t = useLedgerWords();
  const columns = useHoldColumns();
  const status = useHoldStates();
  return (
    <ListPage
      title={t('holds')}
      about={t('holds_about')}
      path="/api/v2/holds"
      permission="holds:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/holds/${id}`}
      actions={<PlaceHoldButton />}
      filters={[{ name: 'account_id', label: t('account_id') }, status]}
      columns={columns}
    />
  );
}
