/** Access beyond one's own sandbox: what has to be done before, what was asked for, and what was given. */
import {
  Alert,
  Anchor,
  Badge,
  Group,
  MultiSelect,
  Select,
  Stack,
  Table,
  Text,
  Textarea,
  TextInput,
  Title,
} from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Circle, CircleCheck, KeyRound, Rocket } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { Permissions } from '../../ui/access/permissions.tsx';
import { AccessStatus } from '../../ui/access/status.tsx';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { AuthenticatorButton } from '../../ui/security/authenticator.tsx';
import { Permitted } from '../../ui/self.tsx';
import { ShownOnce } from '../../ui/shown-once.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { type PortalSelf, usePortalSelf } from '../community/portal-self.ts';
import { Prose } from '../explore/prose.tsx';
import { useLiveWords } from './live-words.ts';

type LiveApplication = BodyOf<'/api/v2/portal/live-applications'>['data'][number];
type Item = PortalSelf['checklist'][number]['item'];

export function Page() {
  const t = useLiveWords();
  return (
    <Stack gap="sm">
      <title>{`${t('go_live')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('go_live')}
      </Title>
      <Permitted permission="portal:read">
        <Live />
      </Permitted>
    </Stack>
  );
}

function Live() {
  const t = useLiveWords();
  const portal = usePortalSelf();
  if (portal.isError) return <Refused error={portal.error} retry={() => void portal.refetch()} />;
  if (portal.data === undefined) return <Loading />;
  if (portal.data === null) return <Empty>{t('about_nobody')}</Empty>;
  const { institution } = portal.data.community;
  return (
    <>
      <Text size="sm" c="dimmed" maw={720}>
        {t('about', { institution })}
      </Text>
      <BeforeAsking portal={portal.data} />
      <Requests />
      <Applications />
    </>
  );
}

function BeforeAsking({ portal }: { portal: PortalSelf }) {
  const t = useLiveWords();
  const { checklist, community } = portal;
  const isReady = checklist.every(({ done }) => done);
  const { institution } = community;
  return (
    <Section
      title={t('checklist')}
      aside={
        isReady &&
        community.live_scopes.length > 0 && (
          <FormButton
            permission="portal:request_live_access"
            label={t('ask')}
            icon={<Rocket size={14} />}
            isPrimary
          >
            {(close) => <AskDialog portal={portal} onClose={close} />}
          </FormButton>
        )
      }
    >
      <Stack component="ul" gap="xs" m={0} p={0} style={{ listStyle: 'none' }}>
        {checklist.map(({ item, done }) => (
          <Group key={item} component="li" gap="sm" wrap="nowrap" data-item={item} data-done={done}>
            {done ? (
              <CircleCheck
                size={18}
                color="var(--mantine-color-teal-6)"
                aria-label={t('is_done')}
                style={{ flexShrink: 0 }}
              />
            ) : (
              <Circle
                size={18}
                color="var(--mantine-color-dimmed)"
                aria-label={t('is_open')}
                style={{ flexShrink: 0 }}
              />
            )}
            <Text size="sm" style={{ flex: 1 }}>
              {t(item)}
            </Text>
            {!done && <ToDo item={item} portal={portal} />}
          </Group>
        ))}
      </Stack>
      {!isReady && (
        <Text size="sm" c="dimmed">
          {t('not_ready')}
        </Text>
      )}
      {community.live_scopes.length === 0 && (
        <Alert color="orange" variant="light">
          {t('nothing_offered', { institution })}
        </Alert>
      )}
    </Section>
  );
}

/** What one does about an item of the checklist. */
function ToDo({ item, portal }: { item: Item; portal: PortalSelf }) {
  const t = useLiveWords();
  if (item === 'terms_accepted') {
    const { version, text } = portal.community.terms;
    const body = { version };
    return (
      <FormButton permission="portal:request_live_access" label={t('see_terms')}>
        {(close) => (
          <ActDialog
            opened
            onClose={close}
            size="lg"
            title={t('terms', { version })}
            verb={t('accept')}
            consequence={t('accept_consequence')}
            run={(key) => act('post', '/api/v2/portal/terms/accept', { key, body })}
            call={{ method: 'POST', path: '/api/v2/portal/terms/accept', body }}
          >
            <Stack gap="xs">
              <Prose text={text} />
            </Stack>
          </ActDialog>
        )}
      </FormButton>
    );
  }
  if (item === 'second_factor') {
    return <AuthenticatorButton label={t('set_factor')} />;
  }
  if (item === 'sandbox_used') {
    return (
      <Anchor component={Link} to="/explore/transfers/postTransfers" size="sm">
        {t('try_it')}
      </Anchor>
    );
  }
  return null;
}

const webhookUses = ['used', 'not_needed'] as const;

function AskDialog({ portal, onClose }: { portal: PortalSelf; onClose: () => void }) {
  const t = useLiveWords();
  const { organisation, community } = portal;
  const [name, setName] = useState('');
  const [purpose, setPurpose] = useState('');
  const [scopes, setScopes] = useState<string[]>([]);
  const [contact, setContact] = useState(organisation.contact_email);
  const [webhooks, setWebhooks] = useState<(typeof webhookUses)[number]>('used');
  const body = {
    name: name.trim(),
    purpose: purpose.trim(),
    scopes,
    contact_email: contact.trim(),
    webhooks,
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('ask')}
      verb={t('ask')}
      consequence={t('ask_consequence', { institution: community.institution })}
      isReady={body.name !== '' && body.purpose !== '' && scopes.length > 0 && body.contact_email !== ''}
      run={(key) => act('post', '/api/v2/portal/live-requests', { key, body })}
      call={{ method: 'POST', path: '/api/v2/portal/live-requests', body, idempotent: true }}
    >
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <Textarea
        label={t('purpose')}
        required
        autosize
        minRows={3}
        value={purpose}
        onChange={(event) => setPurpose(event.currentTarget.value)}
      />
      <MultiSelect
        size="xs"
        label={t('scopes')}
        description={t('scopes_about')}
        required
        searchable
        data={community.live_scopes}
        value={scopes}
        onChange={setScopes}
      />
      <TextInput
        label={t('contact')}
        type="email"
        required
        value={contact}
        onChange={(event) => setContact(event.currentTarget.value)}
      />
      <Select
        label={t('webhooks')}
        data={webhookUses.map((value) => ({ value, label: t(value) }))}
        value={webhooks}
        allowDeselect={false}
        onChange={(value) => setWebhooks(webhookUses.find((one) => one === value) ?? webhooks)}
      />
    </ActDialog>
  );
}

const colors = { pending: 'orange', approved: 'teal', rejected: 'red' } as const;

function Requests() {
  const t = useLiveWords();
  const requests = useQuery({
    queryKey: ['live-requests'],
    queryFn: () => get('/api/v2/portal/live-requests', { query: { limit: 100 } }),
  });
  return (
    <Section
      title={t('requests')}
      aside={<ApiCallButton calls={[{ method: 'GET', path: '/api/v2/portal/live-requests' }]} />}
    >
      {requests.isError ? (
        <Refused error={requests.error} retry={() => void requests.refetch()} />
      ) : requests.data === undefined ? (
        <Loading />
      ) : requests.data.data.length === 0 ? (
        <Empty>{t('no_requests')}</Empty>
      ) : (
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('name')}</Table.Th>
                <Table.Th>{t('status')}</Table.Th>
                <Table.Th>{t('reason')}</Table.Th>
                <Table.Th>{t('asked_at')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {requests.data.data.map(({ id, name, status, reason, created_at }) => (
                <Table.Tr key={id}>
                  <Table.Td>{name}</Table.Td>
                  <Table.Td>
                    <Badge size="sm" variant="light" color={colors[status]}>
                      {t(`is_${status}`)}
                    </Badge>
                  </Table.Td>
                  <Table.Td>{reason ?? '–'}</Table.Td>
                  <Table.Td>
                    <Moment at={created_at} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Section>
  );
}

function Applications() {
  const t = useLiveWords();
  const applications = useQuery({
    queryKey: ['live-applications'],
    queryFn: () => get('/api/v2/portal/live-applications'),
  });
  if (applications.isError) {
    return <Refused error={applications.error} retry={() => void applications.refetch()} />;
  }
  if (applications.data === undefined) return <Loading />;
  if (applications.data.data.length === 0) {
    return (
      <Section title={t('applications')}>
        <Empty>{t('no_applications')}</Empty>
      </Section>
    );
  }
  return applications.data.data.map((application) => (
    <ApplicationSection key={application.id} application={application} />
  ));
}

function ApplicationSection({ application }: { application: LiveApplication }) {
  const t = useLiveWords();
  const [key, setKey] = useState<string>();
  const { id, name, environment, status, scopes, keys } = application;
  const ids = { application_id: id };
  return (
    <Section
      title={name}
      aside={
        status === 'active' && (
          <FormButton permission="portal:make_keys" label={t('make_key')} icon={<KeyRound size={14} />}>
            {(close) => <KeyDialog application={application} onClose={close} onMade={setKey} />}
          </FormButton>
        )
      }
    >
      <Group gap="xs">
        <AccessStatus status={status} />
        <Badge size="sm" variant="light" color={environment === 'live' ? 'red' : 'tide'}>
          {environment}
        </Badge>
        <CopyId id={id} />
      </Group>
      <Permissions permissions={scopes} />
      {keys.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t('no_keys')}
        </Text>
      ) : (
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('keys')}</Table.Th>
                <Table.Th>{t('status')}</Table.Th>
                <Table.Th>{t('last_used')}</Table.Th>
                <Table.Th>
                  <span aria-hidden />
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {keys.map((one) => (
                <Table.Tr key={one.id}>
                  <Table.Td>
                    {one.label} <CopyId id={one.hint} />
                  </Table.Td>
                  <Table.Td>
                    <AccessStatus status={one.status} />
                  </Table.Td>
                  <Table.Td>
                    {one.last_used_at === undefined ? t('never') : <Moment at={one.last_used_at} />}
                  </Table.Td>
                  <Table.Td ta="right">
                    {one.status === 'active' && (
                      <ActButton
                        permission="portal:make_keys"
                        title={`${t('revoke')}: ${one.label}`}
                        verb={t('revoke')}
                        consequence={t('revoke_consequence')}
                        danger={{ final: 'portal:make_keys' }}
                        run={(attempt) =>
                          act(
                            'post',
                            '/api/v2/portal/live-applications/{application_id}/keys/{key_id}/revoke',
                            { ids: { ...ids, key_id: one.id }, key: attempt },
                          )
                        }
                        call={{
                          method: 'POST',
                          path: '/api/v2/portal/live-applications/{application_id}/keys/{key_id}/revoke',
                          ids: { ...ids, key_id: one.id },
                        }}
                      />
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <ShownOnce title={t('the_key')} secret={key} onClose={() => setKey(undefined)} />
    </Section>
  );
}

function KeyDialog({
  application,
  onClose,
  onMade,
}: {
  application: LiveApplication;
  onClose: () => void;
  onMade: (key: string | undefined) => void;
}) {
  const t = useLiveWords();
  const [label, setLabel] = useState(application.name);
  const path = '/api/v2/portal/live-applications/{application_id}/keys';
  const ids = { application_id: application.id };
  const body = { label: label.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${t('make_key')}: ${application.name}`}
      verb={t('make_key')}
      consequence={t('make_key_consequence')}
      {...(application.environment === 'live' ? { danger: 'undoable' } : {})}
      isReady={body.label !== ''}
      run={(key) => act('post', path, { ids, key, body })}
      call={{ method: 'POST', path, ids, body, idempotent: true }}
      onDone={({ key }) => onMade(key)}
    >
      <TextInput
        label={t('label')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
