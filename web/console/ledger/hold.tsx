import { Button, Checkbox, Stack, Table, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { AmountInput, parseAmount } from '../../ui/amount.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment, Money } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { AccountLink } from './account-link.tsx';
import { HoldStatus } from './holds.tsx';
import { useLedgerWords } from './ledger-words.ts';

type Hold = BodyOf<'/api/v2/holds/{hold_id}'>;

export function Page() {
  return (
    <Permitted permission="holds:read">
      <HoldPage />
    </Permitted>
  );
}

function HoldPage() {
  const t = useLedgerWords();
  const { hold_id = '' } = useParams();
  const found = useQuery({
    queryKey: ['hold', hold_id],
    queryFn: () => get('/api/v2/holds/{hold_id}', { ids: { hold_id } }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const hold = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={hold.description ?? t('hold')}
        id={hold.id}
        badge={<HoldStatus status={hold.status} />}
        actions={
          <>
            {hold.status === 'active' && <CaptureButton hold={hold} />}
            {hold.status === 'active' && <IncreaseButton hold={hold} />}
            {hold.status === 'active' && hold.expires_at !== undefined && <ExtendButton hold={hold} />}
            {hold.status === 'active' && <ReleaseButton hold={hold} />}
            <HistoryButton subject={hold.id} />
            <ApiCallButton calls={[{ method: 'GET', path: '/api/v2/holds/{hold_id}', ids: { hold_id } }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('remaining'), <Money key="r" value={hold.remaining} fw={600} />],
            [t('amount'), <Money key="a" value={hold.amount} />],
            [t('captured_amount'), <Money key="c" value={hold.captured} />],
            [t('released_amount'), <Money key="l" value={hold.released} />],
            [t('from_account'), <AccountLink key="f" id={hold.debit_account_id} />],
            [t('to_account'), <AccountLink key="t" id={hold.credit_account_id} />],
            [t('created'), <Moment key="m" at={hold.created_at} />],
            [
              t('expires'),
              hold.expires_at === undefined ? t('never') : <Moment key="e" at={hold.expires_at} />,
            ],
          ]}
        />
      </Section>
      <Section title={t('steps')}>
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('kind')}</Table.Th>
                <Table.Th ta="right">{t('change')}</Table.Th>
                <Table.Th>{t('created')}</Table.Th>
                <Table.Th>{t('transfer')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {hold.steps.map((step) => (
                <Table.Tr key={step.id}>
                  <Table.Td>{t(step.kind)}</Table.Td>
                  <Table.Td ta="right">
                    <Money value={step.pending_change} />
                  </Table.Td>
                  <Table.Td>
                    <Moment at={step.created_at} />
                  </Table.Td>
                  <Table.Td>
                    {step.transfer_id !== undefined && (
                      <CopyId id={step.transfer_id} to={`/transfers/${step.transfer_id}`} short />
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Section>
    </Stack>
  );
}

function CaptureButton({ hold }: { hold: Hold }) {
  const t = useLedgerWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  const [amount, setAmount] = useState('');
  const [isFinal, setFinal] = useState(false);
  if (!may('holds:capture')) return null;
  const { currency } = hold.amount;
  const parsed = parseAmount(amount, currency);
  const path = '/api/v2/holds/{hold_id}/captures';
  const ids = { hold_id: hold.id };
  const body = {
    ...(parsed === undefined ? {} : { amount: { amount: parsed, currency } }),
    ...(isFinal ? { final: true } : {}),
  };
  return (
    <>
      <Button onClick={open}>{t('capture_hold')}</Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('capture_hold')}
        consequence={t('capture_consequence')}
        verb={t('capture_hold')}
        isReady={amount === '' || parsed !== undefined}
        run={(key) => act('post', path, { ids, body, key })}
        call={{ method: 'POST', path, ids, body, idempotent: true }}
      >
        <AmountInput
          label={`${t('amount')} (${t('all_if_empty')})`}
          typed={amount}
          onType={setAmount}
          currency={currency}
          required={false}
        />
        <Checkbox
          label={t('capture_last')}
          checked={isFinal}
          onChange={(event) => setFinal(event.currentTarget.checked)}
        />
      </ActDialog>
    </>
  );
}

function ReleaseButton({ hold }: { hold: Hold }) {
  const t = useLedgerWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  const [amount, setAmount] = useState('');
  if (!may('holds:release')) return null;
  const { currency } = hold.amount;
  const parsed = parseAmount(amount, currency);
  const path = '/api/v2/holds/{hold_id}/releases';
  const ids = { hold_id: hold.id };
  const body = parsed === undefined ? {} : { amount: { amount: parsed, currency } };
  return (
    <>
      <Button variant="default" onClick={open}>
        {t('release_hold')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('release_hold')}
        consequence={t('release_consequence')}
        verb={t('release_hold')}
        danger={{ final: 'holds:release' }}
        isReady={amount === '' || parsed !== undefined}
        run={(key) => act('post', path, { ids, body, key })}
        call={{ method: 'POST', path, ids, body, idempotent: true }}
      >
        <AmountInput
          label={`${t('amount')} (${t('all_if_empty')})`}
          typed={amount}
          onType={setAmount}
          currency={currency}
          required={false}
        />
      </ActDialog>
    </>
  );
}

function IncreaseButton({ hold }: { hold: Hold }) {
  const t = useLedgerWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  const [amount, setAmount] = useState('');
  if (!may('holds:place')) return null;
  const { currency } = hold.amount;
  const parsed = parseAmount(amount, currency);
  const path = '/api/v2/holds/{hold_id}/increments';
  const ids = { hold_id: hold.id };
  const body = { amount: { amount: parsed ?? '', currency } };
  return (
    <>
      <Button variant="default" onClick={open}>
        {t('increase_hold')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('increase_hold')}
        consequence={t('increase_consequence')}
        verb={t('increase_hold')}
        isReady={parsed !== undefined}
        run={(key) => act('post', path, { ids, body, key })}
        call={{ method: 'POST', path, ids, body, idempotent: true }}
      >
        <AmountInput label={t('increase_by')} typed={amount} onType={setAmount} currency={currency} />
      </ActDialog>
    </>
  );
}

function ExtendButton({ hold }: { hold: Hold }) {
  const t = useLedgerWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  const [expires, setExpires] = useState('');
  if (!may('holds:place')) return null;
  const path = '/api/v2/holds/{hold_id}/extensions';
  const ids = { hold_id: hold.id };
  // The field knows no zone: it means that of the reader.
  const body = { expires_at: expires === '' ? '' : new Date(expires).toISOString() };
  return (
    <>
      <Button variant="default" onClick={open}>
        {t('extend_hold')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('extend_hold')}
        consequence={t('extend_consequence')}
        verb={t('extend_hold')}
        isReady={expires !== ''}
        run={(key) => act('post', path, { ids, body, key })}
        call={{ method: 'POST', path, ids, body, idempotent: true }}
      >
        <TextInput
          label={t('expires')}
          type="datetime-local"
          required
          value={expires}
          onChange={(event) => setExpires(event.currentTarget.value)}
        />
      </ActDialog>
    </>
  );
}
