/** What is done about an event that a consumer could not take. */
import { Textarea } from '@mantine/core';
import { RotateCw, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { usePlatformWords } from './platform-words.ts';

const PATH = '/api/v2/consumers/{consumer}/held-events/{event_id}';
const REDRIVE = `${PATH}/redrive` as const;
const DISCARD = `${PATH}/discard` as const;

interface Held {
  consumer: string;
  event_id: string;
}

/** Lets a held event be tried again at once. */
export function RedriveButton({ consumer, event_id }: Held) {
  const t = usePlatformWords();
  const ids = { consumer, event_id };
  return (
    <ActButton
      permission="held_events:redrive"
      icon={<RotateCw size={14} />}
      title={`${t('redrive')}: ${consumer}`}
      verb={t('redrive')}
      consequence={t('redrive_consequence')}
      run={(key) => act('post', REDRIVE, { ids, key })}
      call={{ method: 'POST', path: REDRIVE, ids }}
    />
  );
}

/** Gives a held event up, with a reason that stays on record. */
export function DiscardButton(held: Held) {
  const t = usePlatformWords();
  return (
    <FormButton permission="held_events:discard" label={t('discard')} icon={<Trash2 size={14} />}>
      {(close) => <DiscardDialog {...held} onClose={close} />}
    </FormButton>
  );
}

function DiscardDialog({ consumer, event_id, onClose }: Held & { onClose: () => void }) {
  const t = usePlatformWords();
  const [reason, setReason] = useState('');
  const ids = { consumer, event_id };
  const body = { reason: reason.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${t('discard')}: ${consumer}`}
      verb={t('discard')}
      consequence={t('discard_consequence')}
      danger={{ final: 'held_events:discard' }}
      isReady={body.reason !== ''}
      run={(key) => act('post', DISCARD, { ids, key, body })}
      call={{ method: 'POST', path: DISCARD, ids, body }}
    >
      <Textarea
        label={t('reason')}
        description={t('discard_reason_about')}
        required
        autosize
        minRows={2}
        maxLength={1_000}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
