/** What an organisation asks for is given, or less of it, or refused with a reason. */
import { Checkbox, Group, Stack } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ReasonButton } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';

const APPROVE = '/api/v2/live-requests/{live_request_id}/approve';
const REJECT = '/api/v2/live-requests/{live_request_id}/reject';

export function LiveRequestActs({
  id,
  title,
  scopes,
}: {
  id: string;
  title: string;
  scopes: readonly string[];
}) {
  const t = useDevelopersWords();
  const ids = { live_request_id: id };
  return (
    <Group gap="xs" wrap="nowrap">
      <FormButton permission="live_access:decide" label={t('approve')}>
        {(close) => <ApproveDialog id={id} title={title} asked={scopes} onClose={close} />}
      </FormButton>
      <ReasonButton
        permission="live_access:decide"
        verb={t('reject')}
        title={title}
        consequence={t('reject_live_consequence')}
        danger={{ final: 'live_access:decide' }}
        run={(body) => act('post', REJECT, { ids, body })}
        call={(body) => ({ method: 'POST', path: REJECT, ids, body })}
      />
    </Group>
  );
}

/** Gives what is asked for, or less of it. */
function ApproveDialog({
  id,
  title,
  asked,
  onClose,
}: {
  id: string;
  title: string;
  asked: readonly string[];
  onClose: () => void;
}) {
  const t = useDevelopersWords();
  const [scopes, setScopes] = useState<string[]>([...asked]);
  const ids = { live_request_id: id };
  const body = scopes.length === asked.length ? {} : { scopes };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${t('approve')}: ${title}`}
      verb={t('approve')}
      consequence={t('approve_live_consequence')}
      isReady={scopes.length > 0}
      run={() => act('post', APPROVE, { ids, body })}
      call={{ method: 'POST', path: APPROVE, ids, body }}
    >
      <Checkbox.Group label={t('gives')} value={scopes} onChange={setScopes}>
        <Stack gap="xs" mt="xs">
          {asked.map((scope) => (
            <Checkbox key={scope} value={scope} label={scope} />
          ))}
        </Stack>
      </Checkbox.Group>
    </ActDialog>
  );
}
