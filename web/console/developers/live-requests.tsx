/** What organisations of developers ask to do beyond their own sandbox, to be given or refused. */
import { Checkbox, Group, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { ReasonButton, Standing } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';

const states = ['pending', 'approved', 'rejected'] as const;
const APPROVE = '/api/v2/live-requests/{live_request_id}/approve';
const REJECT = '/api/v2/live-requests/{live_request_id}/reject';

export function Page() {
  const t = useDevelopersWords();
  return (
    <ListPage
      title={t('live_requests')}
      about={t('live_requests_about')}
      path="/api/v2/live-requests"
      permission="live_access:read"
      keyOf={({ id }) => id}
      filters={[
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`status_${value}`) })),
        },
      ]}
      columns={[
        {
          name: 'organisation',
          title: t('organisation'),
          value: ({ organisation_name }) => organisation_name,
        },
        { name: 'name', title: t('application'), value: ({ name }) => name },
        {
          name: 'purpose',
          title: t('purpose'),
          value: ({ purpose }) => purpose,
          show: ({ purpose }) => (
            <Text size="sm" lineClamp={3} maw={260}>
              {purpose}
            </Text>
          ),
          wide: true,
        },
        {
          name: 'scopes',
          title: t('asks_for'),
          value: ({ scopes }) => scopes.join(' '),
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <Standing status={status} />,
        },
        {
          name: 'created_at',
          title: t('asked'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} short />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => '',
          show: ({ id, name, organisation_name, scopes, status, application_id }) =>
            status === 'pending' ? (
              <Acts id={id} title={`${organisation_name}: ${name}`} scopes={scopes} />
            ) : application_id === undefined ? null : (
              <IdLink id={application_id} short />
            ),
        },
      ]}
    />
  );
}

function Acts({ id, title, scopes }: { id: string; title: string; scopes: readonly string[] }) {
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
