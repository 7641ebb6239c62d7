/** Up to which day the books are closed, and closing them further. */
import { Badge, TextInput } from '@mantine/core';
import { Lock } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { act } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { DayText, Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { useReportsWords } from './reports-words.ts';

const path = '/api/v2/period-closes';

export function PeriodStatus({ isReopened }: { isReopened: boolean }) {
  const t = useReportsWords();
  return (
    <Badge size="sm" variant="light" color={isReopened ? 'orange' : 'teal'}>
      {t(isReopened ? 'reopened' : 'closed')}
    </Badge>
  );
}

export function Page() {
  const t = useReportsWords();
  return (
    <ListPage
      title={t('periods')}
      about={t('periods_about')}
      path={path}
      permission="periods:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/periods/${id}`}
      empty={t('never_closed')}
      actions={
        <FormButton permission="periods:close" label={t('close_books')} icon={<Lock size={14} />} isPrimary>
          {(close) => <CloseDialog onClose={close} />}
        </FormButton>
      }
      columns={[
        {
          name: 'through',
          title: t('closed_through'),
          value: ({ through }) => through,
          show: ({ through }) => <DayText date={through} />,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ reopened_at }) => (reopened_at === undefined ? t('closed') : t('reopened')),
          show: ({ reopened_at }) => <PeriodStatus isReopened={reopened_at !== undefined} />,
        },
        {
          name: 'closed_at',
          title: t('closed_at'),
          value: ({ closed_at }) => closed_at,
          show: ({ closed_at }) => <Moment at={closed_at} />,
          wide: true,
        },
        {
          name: 'closed_by',
          title: t('closed_by'),
          value: ({ closed_by }) => closed_by,
          show: ({ closed_by }) => <IdLink id={closed_by} short />,
          wide: true,
        },
        {
          name: 'position',
          title: t('ledger_position'),
          value: ({ position }) => position,
          align: 'right',
          order: 'number',
          wide: true,
        },
        {
          name: 'reason',
          title: t('reopen_reason'),
          value: ({ reopen_reason }) => reopen_reason,
          wide: true,
        },
      ]}
    />
  );
}

function CloseDialog({ onClose }: { onClose: () => void }) {
  const t = useReportsWords();
  const navigate = useNavigate();
  const [through, setThrough] = useState('');
  const body = { through };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('close_books')}
      consequence={t('close_books_consequence')}
      verb={t('close_books')}
      danger="undoable"
      isReady={through !== ''}
      run={(key) => act('post', path, { body, key })}
      call={{ method: 'POST', path, body, idempotent: true }}
      onDone={({ id }) => void navigate(`/periods/${id}`)}
    >
      <TextInput
        label={t('closed_through')}
        type="date"
        required
        value={through}
        onChange={(event) => setThrough(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
