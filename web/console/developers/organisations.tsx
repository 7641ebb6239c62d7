/** Partners whose developers came by a portal, and whether they are let in. */
import { Group } from '@mantine/core';
import { act } from '../../api/act.ts';
import { ActButton } from '../../ui/act-button.tsx';
import type { Danger } from '../../ui/can-it-be-undone.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { ReasonButton, Standing } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';

const states = ['pending', 'active', 'suspended', 'rejected'] as const;

export function Page() {
  const t = useDevelopersWords();
  return (
    <ListPage
      title={t('organisations')}
      about={t('organisations_about')}
      path="/api/v2/organisations"
      permission="organisations:read"
      keyOf={({ id }) => id}
      filters={[
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`status_${value}`) })),
        },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} short />,
          wide: true,
        },
        {
          name: 'contact_email',
          title: t('contact'),
          value: ({ contact_email }) => contact_email,
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
          title: t('joined'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => '',
          show: ({ id, name, status }) => <Acts id={id} name={name} status={status} />,
        },
      ]}
    />
  );
}

const APPROVE = '/api/v2/organisations/{organisation_id}/approve';
const paths = {
  reject: '/api/v2/organisations/{organisation_id}/reject',
  suspend: '/api/v2/organisations/{organisation_id}/suspend',
  resume: '/api/v2/organisations/{organisation_id}/resume',
} as const;

const dangers: Readonly<Record<keyof typeof paths, { danger?: Danger }>> = {
  reject: { danger: { final: 'organisations:decide' } },
  suspend: { danger: 'undoable' },
  resume: {},
};

function Acts({ id, name, status }: { id: string; name: string; status: (typeof states)[number] }) {
  const t = useDevelopersWords();
  const ids = { organisation_id: id };
  const withReason = (verb: keyof typeof paths, consequence: string) => (
    <ReasonButton
      permission="organisations:decide"
      verb={t(verb)}
      title={name}
      consequence={consequence}
      {...dangers[verb]}
      run={(body) => act('post', paths[verb], { ids, body })}
      call={(body) => ({ method: 'POST', path: paths[verb], ids, body })}
    />
  );
  return (
    <Group gap="xs" wrap="nowrap">
      {status === 'pending' && (
        <>
          <ActButton
            permission="organisations:decide"
            title={`${t('approve')}: ${name}`}
            verb={t('approve')}
            consequence={t('approve_organisation_consequence')}
            run={() => act('post', APPROVE, { ids })}
            call={{ method: 'POST', path: APPROVE, ids }}
          />
          {withReason('reject', t('reject_organisation_consequence'))}
        </>
      )}
      {status === 'active' && withReason('suspend', t('suspend_consequence'))}
      {status === 'suspended' && withReason('resume', t('resume_consequence'))}
    </Group>
  );
}
