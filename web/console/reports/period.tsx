/** A closing of the books: the trial balance of then, and whether it is still the same. */
import { Alert, Code, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { CircleAlert, CircleCheck, LockOpen } from 'lucide-react';
import { useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { DayText, Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { PeriodStatus } from './periods.tsx';
import { useReportsWords } from './reports-words.ts';
import { BalanceTables } from './trial-balance.tsx';

type PeriodClose = BodyOf<'/api/v2/period-closes/{period_close_id}'>;

export function Page() {
  return (
    <Permitted permission="periods:read">
      <PeriodPage />
    </Permitted>
  );
}

function PeriodPage() {
  const t = useReportsWords();
  const locale = useLocale();
  const { period_close_id = '' } = useParams();
  const ids = { period_close_id };
  const found = useQuery({
    queryKey: ['period-close', period_close_id],
    queryFn: () => get('/api/v2/period-closes/{period_close_id}', { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const close = found.data;
  const isReopened = close.reopened_at !== undefined;
  const day = new Date(`${close.through}T00:00:00Z`).toLocaleDateString(locale, {
    dateStyle: 'long',
    timeZone: 'UTC',
  });
  return (
    <Stack gap="sm">
      <ThingHead
        title={t('closed_through_day', { day })}
        id={close.id}
        badge={<PeriodStatus isReopened={isReopened} />}
        actions={
          <>
            {!isReopened && (
              <FormButton permission="periods:reopen" label={t('reopen')} icon={<LockOpen size={14} />}>
                {(onClose) => <ReopenDialog close={close} onClose={onClose} />}
              </FormButton>
            )}
            <HistoryButton subject={close.id} />
            <ApiCallButton
              calls={[{ method: 'GET', path: '/api/v2/period-closes/{period_close_id}', ids }]}
            />
          </>
        }
      />
      <Alert
        variant="light"
        color={close.now.unchanged ? 'teal' : isReopened ? 'orange' : 'red'}
        icon={close.now.unchanged ? <CircleCheck size={18} /> : <CircleAlert size={18} />}
        title={t(close.now.unchanged ? 'unchanged' : 'changed')}
      >
        {t(close.now.unchanged ? 'unchanged_about' : isReopened ? 'changed_reopened' : 'changed_about', {
          position: close.now.position,
        })}
      </Alert>
      <Section>
        <Facts
          facts={[
            [t('closed_at'), <Moment key="a" at={close.closed_at} />],
            [t('closed_by'), <IdLink key="b" id={close.closed_by} />],
            [t('ledger_position'), String(close.position)],
            [t('closed_before'), <DayText key="p" date={close.previous_through} />],
            [t('hash'), <Code key="h">{close.hash}</Code>],
            ...(close.now.unchanged ? [] : [[t('hash_now'), <Code key="n">{close.now.hash}</Code>] as const]),
            ...(isReopened
              ? [
                  [t('reopened_at'), <Moment key="r" at={close.reopened_at} />] as const,
                  [t('reopened_by'), <IdLink key="w" id={close.reopened_by} />] as const,
                  [t('reopen_reason'), close.reopen_reason] as const,
                ]
              : []),
          ]}
        />
      </Section>
      {close.trial_balance.totals.length === 0 ? (
        <Section>
          <Empty>{t('nothing')}</Empty>
        </Section>
      ) : (
        <BalanceTables balance={close.trial_balance} />
      )}
    </Stack>
  );
}

function ReopenDialog({ close, onClose }: { close: PeriodClose; onClose: () => void }) {
  const t = useReportsWords();
  const [reason, setReason] = useState('');
  const path = '/api/v2/period-closes/{period_close_id}/reopen';
  const ids = { period_close_id: close.id };
  const body = { reason: reason.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('reopen')}
      consequence={t('reopen_consequence')}
      verb={t('reopen')}
      danger="undoable"
      isReady={body.reason !== ''}
      run={(key) => act('post', path, { ids, body, key })}
      call={{ method: 'POST', path, ids, body }}
    >
      <TextInput
        label={t('reopen_reason')}
        required
        maxLength={500}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
