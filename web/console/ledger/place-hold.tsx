/** Setting money aside on an account, for another one that may capture it. */
import { Button, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { act } from '../../api/act.ts';
import { AccountSelect, type ChosenAccount } from '../../ui/account-select.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { AmountInput, parseAmount } from '../../ui/amount.tsx';
import { useMay } from '../../ui/self.tsx';
import { useLedgerWords } from './ledger-words.ts';

const path = '/api/v2/holds';

export function PlaceHoldButton() {
  const t = useLedgerWords();
  const may = useMay();
  const navigate = useNavigate();
  const [opened, { open, close }] = useDisclosure(false);
  const [debited, chooseDebited] = useState<ChosenAccount | null>(null);
  const [credited, chooseCredited] = useState<ChosenAccount | null>(null);
  const [amount, setAmount] = useState('');
  const [expires, setExpires] = useState('');
  const [description, setDescription] = useState('');
  if (!may('holds:place')) return null;
  const currency = debited?.currency;
  const parsed = currency === undefined ? undefined : parseAmount(amount, currency);
  const body = {
    debit_account_id: debited?.id ?? '',
    credit_account_id: credited?.id ?? '',
    amount: { amount: parsed ?? '', currency: currency ?? '' },
    // The field knows no zone: it means that of the reader.
    ...(expires === '' ? {} : { expires_at: new Date(expires).toISOString() }),
    ...(description.trim() === '' ? {} : { description: description.trim() }),
  };
  return (
    <>
      <Button onClick={open}>{t('place_hold')}</Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('place_hold')}
        consequence={t('place_consequence')}
        verb={t('place_hold')}
        isReady={debited !== null && credited !== null && parsed !== undefined}
        run={(key) => act('post', path, { body, key })}
        call={{ method: 'POST', path, body, idempotent: true }}
        onDone={({ id }) => void navigate(`/holds/${id}`)}
      >
        <AccountSelect label={t('debit_account')} value={debited} onChange={chooseDebited} />
        <AccountSelect
          label={t('credit_account')}
          value={credited}
          onChange={chooseCredited}
          currency={currency}
        />
        <AmountInput label={t('amount')} typed={amount} onType={setAmount} currency={currency} />
        <TextInput
          label={t('expires')}
          type="datetime-local"
          value={expires}
          onChange={(event) => setExpires(event.currentTarget.value)}
        />
        <TextInput
          label={t('description')}
          value={description}
          maxLength={500}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
      </ActDialog>
    </>
  );
}
