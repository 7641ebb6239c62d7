import { Plus } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { FormButton } from '../act-button.tsx';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { ListPage } from '../list-page.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { EndpointDialog } from './endpoint-dialog.tsx';
import { WebhookStatus } from './status.tsx';
import { useWebhookWords } from './webhook-words.ts';

const states = ['enabled', 'disabled'] as const;

export function Page() {
  const t = useWebhookWords();
  return (
    <ListPage
      title={t('endpoints')}
      about={t('endpoints_about')}
      path="/api/v2/webhooks/endpoints"
      permission="webhooks:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/webhooks/${id}`}
      empty={t('no_endpoints')}
      actions={<CreateButton />}
      filters={[
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
        { name: 'application_id', label: t('application_id') },
      ]}
      columns={[
        {
          name: 'url',
          title: t('url'),
          value: ({ url }) => url,
          show: ({ url }) => <span style={{ overflowWrap: 'anywhere' }}>{url}</span>,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/webhooks/${id}`} short />,
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <WebhookStatus status={status} />,
        },
        {
          name: 'event_types',
          title: t('event_types'),
          value: ({ event_types }) => event_types.join(' '),
          show: ({ event_types }) => event_types.join(', '),
          wide: true,
        },
        { name: 'description', title: t('description'), value: ({ description }) => description, wide: true },
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

function CreateButton() {
  const t = useWebhookWords();
  const navigate = useNavigate();
  const [made, setMade] = useState<{ id: string; secret?: string }>();
  return (
    <>
      <FormButton permission="webhooks:write" label={t('make_endpoint')} icon={<Plus size={14} />} isPrimary>
        {(close) => (
          <EndpointDialog
            onClose={close}
            onMade={(endpoint) => {
              // Signed with Ed25519, there is no secret to be kept.
              if (endpoint.secret === undefined) void navigate(`/webhooks/${endpoint.id}`);
              else setMade(endpoint);
            }}
          />
        )}
      </FormButton>
      <ShownOnce
        title={t('the_secret')}
        about={t('the_secret_about')}
        secret={made?.secret}
        onClose={() => {
          setMade(undefined);
          if (made !== undefined) void navigate(`/webhooks/${made.id}`);
        }}
      />
    </>
  );
}
