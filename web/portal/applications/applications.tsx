/** What developers build; another one, with a key for the sandbox, is one click. */
import { TextInput } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { act, type Outcome } from '../../api/act.ts';
import { RegisterButton } from '../../ui/access/applications.tsx';
import { AccessStatus } from '../../ui/access/status.tsx';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useMay, useSelf } from '../../ui/self.tsx';
import { useApplicationWords } from './application-words.ts';
import { type Made, MadeDialog } from './made.tsx';

const states = ['active', 'disabled'] as const;

export function Page() {
  const t = useApplicationWords();
  const may = useMay();
  const [search, setSearch] = useSearchParams();
  const [made, setMade] = useState<Made>();
  const close = () =>
    setSearch((before) => {
      const next = new URLSearchParams(before);
      next.delete('new');
      return next;
    });
  return (
    <>
      <ListPage
        title={t('applications')}
        about={t('about')}
        path="/api/v2/applications"
        permission="applications:read"
        keyOf={({ id }) => id}
        to={({ id }) => `/applications/${id}`}
        empty={t('none')}
        actions={
          <>
            <RegisterButton label={t('oauth_client')} />
            <FormButton
              permission="applications:create"
              label={t('create')}
              icon={<Plus size={14} />}
              isPrimary
            >
              {(done) => <CreateDialog onClose={done} onMade={setMade} />}
            </FormButton>
          </>
        }
        filters={[
          {
            name: 'status',
            label: t('status'),
            choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
          },
        ]}
        columns={[
          { name: 'name', title: t('name'), value: ({ name }) => name },
          {
            name: 'id',
            title: t('client_id'),
            value: ({ id }) => id,
            show: ({ id }) => <CopyId id={id} to={`/applications/${id}`} short />,
            wide: true,
          },
          {
            name: 'status',
            title: t('status'),
            value: ({ status }) => status,
            show: ({ status }) => <AccessStatus status={status} />,
          },
          {
            name: 'created_at',
            title: t('created'),
            value: ({ created_at }) => created_at,
            show: ({ created_at }) => <Moment at={created_at} />,
            wide: true,
          },
        ]}
      />
      {search.has('new') && may('applications:create') && <CreateDialog onClose={close} onMade={setMade} />}
      <MadeDialog made={made} onClose={() => setMade(undefined)} />
    </>
  );
}

/** What an application of a partner works with; who may give more gives it by hand. */
const resources = [
  'accounts',
  'transfers',
  'holds',
  'chart_of_accounts',
  'trial_balance',
  'attempts',
  'events',
  'webhooks',
  'limits',
];

/** Permissions of one's own that an application gets. */
export function useScopes(): string[] {
  const { permissions } = useSelf();
  return permissions.filter((permission) => resources.includes(permission.split(':')[0] ?? ''));
}

function CreateDialog({ onClose, onMade }: { onClose: () => void; onMade: (made: Made) => void }) {
  const t = useApplicationWords();
  const scopes = useScopes();
  const [name, setName] = useState('');
  const body = {
    name: name.trim(),
    auth_method: 'client_secret_basic' as const,
    grant_types: ['client_credentials' as const],
    scopes,
  };
  const run = async (key: string): Promise<Outcome<Made>> => {
    const registered = await act('post', '/api/v2/applications', { key: `${key}-application`, body });
    if (registered.kind !== 'done') return registered;
    const { id, name: label, client_secret } = registered.answer;
    const created = await act('post', '/api/v2/api-keys', {
      key: `${key}-key`,
      body: { label, application_id: id, scopes },
    });
    if (created.kind !== 'done') return created;
    const answer = { id, name: label, key: created.answer.key, secret: client_secret };
    return { kind: 'done', answer, replayed: registered.replayed };
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('create')}
      verb={t('create')}
      consequence={t('create_about')}
      isReady={name.trim() !== ''}
      run={run}
      call={{ method: 'POST', path: '/api/v2/applications', body, idempotent: true }}
      onDone={onMade}
    >
      <TextInput
        label={t('name')}
        description={t('name_about')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
