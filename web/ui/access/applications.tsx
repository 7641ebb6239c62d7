import { Badge } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { FormButton } from '../act-button.tsx';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { ListPage } from '../list-page.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { useAccessWords } from './access-words.ts';
import { ApplicationDialog } from './application-dialog.tsx';
import { AccessStatus } from './status.tsx';

const states = ['active', 'disabled'] as const;

export function Page() {
  const t = useAccessWords();
  return (
    <ListPage
      title={t('applications')}
      about={t('applications_about')}
      path="/api/v2/applications"
      permission="applications:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/applications/${id}`}
      actions={<RegisterButton />}
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
        { name: 'auth_method', title: t('auth_method'), value: ({ auth_method }) => auth_method, wide: true },
        {
          name: 'grant_types',
          title: t('grant_types'),
          value: ({ grant_types }) => grant_types.join(' '),
          show: ({ grant_types }) => grant_types.join(', '),
          wide: true,
        },
        {
          name: 'fapi',
          title: 'FAPI 2.0',
          value: ({ fapi }) => String(fapi),
          show: ({ fapi }) =>
            fapi ? (
              <Badge size="sm" variant="light" color="teal">
                {t('yes')}
              </Badge>
            ) : (
              t('no')
            ),
          wide: true,
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
  );
}

/** @param props.label on the button, where it is one of several */
export function RegisterButton({ label }: { label?: string }) {
  const t = useAccessWords();
  const navigate = useNavigate();
  const [made, setMade] = useState<{ id: string; client_secret?: string }>();
  return (
    <>
      <FormButton
        permission="applications:create"
        label={label ?? t('register_application')}
        icon={<Plus size={14} />}
        isPrimary={label === undefined}
      >
        {(close) => (
          <ApplicationDialog
            onClose={close}
            onMade={(application) => {
              // Without a secret there is nothing to be shown once.
              if (application.client_secret === undefined) void navigate(`/applications/${application.id}`);
              else setMade(application);
            }}
          />
        )}
      </FormButton>
      <ShownOnce
        title={t('the_secret')}
        secret={made?.client_secret}
        onClose={() => {
          setMade(undefined);
          if (made !== undefined) void navigate(`/applications/${made.id}`);
        }}
      />
    </>
  );
}
