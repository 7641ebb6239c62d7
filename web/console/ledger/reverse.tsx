/** Taking back a transfer, in whole or in part, by a posting in the other direction. */
import { Button, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Undo2 } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { AmountInput, parseAmount } from '../../ui/amount.tsx';
import { useMay } from '../../ui/self.tsx';
import { useLedgerWords } from './ledger-words.ts';

const path = '/api/v2/transfers/{transfer_id}/reversals';

export function ReverseButton({ transfer }: { transfer: BodyOf<'/api/v2/transfers/{transfer_id}'> }) {
  const t = useLedgerWords();
  const may = useMay();
  const navigate = useNavigate();
  const [opened, { open, close }] = useDisclosure(false);
  const [amount, setAmount] = useState('');
  const [reason, setReason] = useState('');
  if (transfer.kind === 'reversal' || !may('transfers:reverse')) return null;
  const currency = transfer.entries[0]?.amount.currency ?? '';
  // Of more than two legs it is not clear what a part would be.
  const isDivisible = transfer.entries.length === 2;
  const parsed = parseAmount(amount, currency);
  const body = {
    ...(parsed === undefined ? {} : { amount: { amount: parsed, currency } }),
    ...(reason.trim() === '' ? {} : { description: reason.trim() }),
  };
  const ids = { transfer_id: transfer.id };
  return (
    <>
      <Button variant="default" leftSection={<Undo2 size={14} />} onClick={open}>
        {t('reverse')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('reverse')}
        consequence={t('reverse_consequence')}
        verb={t('reverse')}
        danger={{ final: 'transfers:reverse' }}
        isReady={amount === '' || parsed !== undefined}
        run={(key) => act('post', path, { ids, body, key })}
        call={{ method: 'POST', path, ids, body, idempotent: true }}
        onDone={({ id }) => void navigate(`/transfers/${id}`)}
      >
        {isDivisible && (
          <AmountInput
            label={t('reverse_amount')}
            typed={amount}
            onType={setAmount}
            currency={currency}
            required={false}
          />
        )}
        <TextInput
          label={t('reason')}
          value={reason}
          maxLength={500}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      </ActDialog>
    </>
  );
}
