/** Tools of the sandbox: its clock, sample data, and a payment that comes in. */
import { Alert, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ArrowDownToLine } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { AccountSelect, type ChosenAccount } from '../../ui/account-select.tsx';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { AmountInput, parseAmount } from '../../ui/amount.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Section } from '../../ui/facts.tsx';
import { Money } from '../../ui/figures.tsx';
import { List } from '../../ui/list-page.tsx';
import { SandboxPage } from '../../ui/sandbox/sandbox.tsx';
import { useMay } from '../../ui/self.tsx';
import { usePortalSandboxWords } from './portal-sandbox-words.ts';

export function Page() {
  const may = useMay();
  return (
    <SandboxPage
      more={
        <>
          {may('transfers:post') && <Payment />}
          {may('accounts:read') && <Accounts />}
        </>
      }
    />
  );
}

function Payment() {
  const t = usePortalSandboxWords();
  return (
    <Section
      title={t('payment')}
      aside={
        <FormButton permission="transfers:post" label={t('payment')} icon={<ArrowDownToLine size={14} />}>
          {(close) => <PaymentDialog onClose={close} />}
        </FormButton>
      }
    >
      <Text size="sm">{t('payment_about')}</Text>
    </Section>
  );
}

function PaymentDialog({ onClose }: { onClose: () => void }) {
  const t = usePortalSandboxWords();
  const [to, setTo] = useState<ChosenAccount | null>(null);
  const [typed, setTyped] = useState('');
  const [description, setDescription] = useState(() => t('example_description'));
  const currency = to?.currency;
  const reserves = useQuery({
    queryKey: ['reserves', currency],
    enabled: currency !== undefined,
    queryFn: async () => {
      const { data } = await get('/api/v2/accounts', {
        query: { type: 'asset', status: 'open', limit: 100, ...(currency === undefined ? {} : { currency }) },
      });
      // Without a limit: whatever is said to have arrived can come from it.
      return data.find(({ available, id }) => available === null && id !== to?.id) ?? null;
    },
  });
  const amount = currency === undefined ? undefined : parseAmount(typed, currency);
  const from = reserves.data ?? undefined;
  const body = {
    debit_account_id: from?.id ?? '',
    credit_account_id: to?.id ?? '',
    amount: { amount: amount ?? '0', currency: currency ?? '' },
    ...(description.trim() === '' ? {} : { description: description.trim() }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('payment')}
      verb={t('payment_verb')}
      consequence={t('payment_about')}
      isReady={from !== undefined && to !== null && amount !== undefined}
      run={(key) => act('post', '/api/v2/transfers', { key, body })}
      call={{ method: 'POST', path: '/api/v2/transfers', body, idempotent: true }}
    >
      <AccountSelect label={t('to_account')} value={to} onChange={setTo} />
      {reserves.data === null && currency !== undefined && (
        <Alert color="orange" variant="light">
          {t('no_reserves', { currency })}
        </Alert>
      )}
      <AmountInput label={t('amount')} typed={typed} onType={setTyped} currency={currency} />
      <TextInput
        label={t('description')}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
    </ActDialog>
  );
}

function Accounts() {
  const t = usePortalSandboxWords();
  return (
    <Section title={t('accounts')}>
      <List
        path="/api/v2/accounts"
        permission="accounts:read"
        keyOf={({ id }) => id}
        empty={t('no_accounts')}
        filters={[{ name: 'q', label: t('q') }]}
        columns={[
          { name: 'name', title: t('name'), value: ({ name }) => name },
          {
            name: 'id',
            title: t('id'),
            value: ({ id }) => id,
            show: ({ id }) => <CopyId id={id} short />,
            wide: true,
          },
          { name: 'type', title: t('type'), value: ({ type }) => type, wide: true },
          {
            name: 'available',
            title: t('available'),
            value: ({ available }) => available?.amount,
            show: ({ available, balance }) => <Money value={available ?? balance} />,
            align: 'right',
            order: 'number',
          },
          { name: 'status', title: t('status'), value: ({ status }) => status, wide: true },
        ]}
      />
    </Section>
  );
}
