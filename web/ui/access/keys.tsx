import { Plus } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { FormButton } from '../act-button.tsx';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { ListPage } from '../list-page.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { useAccessWords } from './access-words.ts';
import { KeyDialog } from './key-dialog.tsx';
import { AccessStatus } from './status.tsx';

const states = ['active', 'expired', 'revoked'] as const;

export function Page() {
  const t = useAccessWords();
  return (
    <ListPage
      title={t('api_keys')}
      about={t('api_keys_about')}
      path="/api/v2/api-keys"
      permission="api_keys:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/api-keys/${id}`}
      actions={<CreateButton />}
      filters={[
        { name: 'q', label: t('search_label') },
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
      ]}
      columns={[
        { name: 'label', title: t('label'), value: ({ label }) => label },
        { name: 'hint', title: t('begins_with'), value: ({ hint }) => hint, wide: true },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/api-keys/${id}`} short />,
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <AccessStatus status={status} />,
        },
        { name: 'plan', title: t('plan'), value: ({ plan }) => plan, wide: true },
        {
          name: 'has_limits',
          title: t('limits'),
          value: ({ has_limits }) => String(has_limits),
          show: ({ has_limits }) => t(has_limits ? 'yes' : 'no'),
          wide: true,
        },
        {
          name: 'last_used_at',
          title: t('last_used'),
          value: ({ last_used_at }) => last_used_at,
          show: ({ last_used_at }) => <Moment at={last_used_at} />,
          wide: true,
        },
        {
          name: 'expires_at',
          title: t('expires'),
          value: ({ expires_at }) => expires_at,
          show: ({ expires_at }) => (expires_at === undefined ? t('never') : <Moment at={expires_at} />),
          wide: true,
        },
      ]}
    />
  );
}

function CreateButton() {
  const t = useAccessWords();
  const navigate = useNavigate();
  const [made, setMade] = useState<{ id: string; key?: string }>();
  return (
    <>
      <FormButton permission="api_keys:create" label={t('create_key')} icon={<Plus size={14} />} isPrimary>
        {(close) => <KeyDialog onClose={close} onMade={setMade} />}
      </FormButton>
      <ShownOnce
        title={t('the_key')}
        secret={made?.key}
        onClose={() => {
          setMade(undefined);
          if (made !== undefined) void navigate(`/api-keys/${made.id}`);
        }}
      />
    </>
  );
}
