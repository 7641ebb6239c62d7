/** How a request of an organisation stands, and deciding it with a reason. */
import { Badge, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Outcome } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import type { Call } from '../../ui/call.ts';
import type { Danger } from '../../ui/can-it-be-undone.tsx';
import { useDevelopersWords } from './developers-words.ts';

const colors = {
  pending: 'orange',
  active: 'teal',
  approved: 'teal',
  rejected: 'gray',
  suspended: 'red',
} as const;

export function Standing({ status }: { status: keyof typeof colors }) {
  const t = useDevelopersWords();
  return (
    <Badge size="sm" variant="light" color={colors[status]} miw="max-content">
      {t(`status_${status}`)}
    </Badge>
  );
}

interface Deciding {
  permission: string;
  verb: string;
  title: string;
  consequence: string;
  /** Who reads the reason; the organisation if absent. */
  about?: string;
  danger?: Danger;
  call: (body: { reason: string }) => Call;
  run: (body: { reason: string }) => Promise<Outcome<unknown>>;
}

/** Decides with a reason that is told to whom it concerns. */
export function ReasonButton({ permission, verb, ...deciding }: Deciding) {
  return (
    <FormButton permission={permission} label={verb}>
      {(close) => <ReasonDialog verb={verb} {...deciding} onClose={close} />}
    </FormButton>
  );
}

function ReasonDialog({
  verb,
  title,
  consequence,
  about,
  danger,
  call,
  run,
  onClose,
}: Omit<Deciding, 'permission'> & { onClose: () => void }) {
  const t = useDevelopersWords();
  const [reason, setReason] = useState('');
  const body = { reason: reason.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${verb}: ${title}`}
      verb={verb}
      consequence={consequence}
      {...(danger === undefined ? {} : { danger })}
      isReady={body.reason !== ''}
      run={() => run(body)}
      call={call(body)}
    >
      <Textarea
        label={t('reason')}
        description={about ?? t('reason_about')}
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
