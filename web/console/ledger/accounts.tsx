import { Plus } from 'lucide-react';
import { lazy, Suspense } from 'react';
import { FormButton } from '../../ui/act-button.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment, Money } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { AccountStatus } from './status.tsx';

const OpenDialog = lazy(async () => ({ default: (await import('./account-acts.tsx')).OpenAccountDialog }));

const types = ['asset', 'liability', 'equity', 'income', 'expense'] as const;
const states = ['open', 'frozen', 'closed'] as const;

export function Page() {
  const t = useLedgerWords();
  return (
    <ListPage
      title={t('accounts')}
      about={t('accounts_about')}
      path="/api/v2/accounts"
      permission="accounts:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/accounts/${id}`}
      actions={
        <FormButton permission="accounts:open" label={t('open_account')} icon={<Plus size={14} />} isPrimary>
          {(close) => (
            <Suspense>
              <OpenDialog onClose={close} />
            </Suspense>
          )}
        </FormButton>
      }
      filters={[
        { name: 'q', label: t('search_name') },
        { name: 'type', label: t('type'), choices: types.map((value) => ({ value, label: t(value) })) },
        { name: 'status', label: t('status'), choices: states.map((value) => ({ value, label: t(value) })) },
        { name: 'currency', label: t('currency') },
        { name: 'chart_code', label: t('chart_code') },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/accounts/${id}`} short />,
          wide: true,
        },
        { name: 'chart_code', title: t('chart_code'), value: ({ chart_code }) => chart_code, wide: true },
        {
          name: 'type',
          title: t('type'),
          value: ({ type }) => type,
          show: ({ type }) => t(type),
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <AccountStatus status={status} />,
          wide: true,
        },
        {
          name: 'balance',
          title: t('balance'),
          value: ({ balance }) => balance.amount,
          show: ({ balance }) => <Money value={balance} />,
          align: 'right',
          order: 'number',
        },
        {
          name: 'available',
          title: t('available'),
          value: ({ available }) => available?.amount,
          show: ({ available }) => <Money value={available} />,
          align: 'right',
          order: 'number',
          wide: true,
        },
        { name: 'currency', title: t('currency'), value: ({ currency }) => currency, wide: true },
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
