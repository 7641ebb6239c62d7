import { Anchor, Badge, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { KeyRound, LogOut, Pencil, ShieldOff, ShieldPlus, UserCheck, UserX } from 'lucide-react';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get, getTagged } from '../../api/client.ts';
import { ActButton, ActMenu, FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Labels } from '../labels.tsx';
import { Permitted, useMay, useSelf } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { usePlace } from '../shell/place.ts';
import { ShownOnce } from '../shown-once.tsx';
import { Empty, Loading, Refused } from '../states.tsx';
import { useAccessWords } from './access-words.ts';
import { GrantDialog } from './grant-dialog.tsx';
import { AccessStatus } from './status.tsx';

type Person = BodyOf<'/api/v2/people/{person_id}'>;

export function Page() {
  return (
    <Permitted permission="people:read">
      <PersonPage />
    </Permitted>
  );
}

function PersonPage() {
  const t = useAccessWords();
  const { person_id = '' } = useParams();
  const found = useQuery({
    queryKey: ['person-tagged', person_id],
    queryFn: () => getTagged('/api/v2/people/{person_id}', { ids: { person_id } }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: person, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={person.name}
        id={person.id}
        badge={<AccessStatus status={person.status} />}
        actions={
          <>
            {person.status !== 'removed' && <PersonActs person={person} etag={etag} />}
            <HistoryButton subject={person.id} />
            <ApiCallButton calls={[{ method: 'GET', path: `/api/v2/people/${person.id}` }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('email'), person.email],
            [t('last_signed_in'), <Moment key="l" at={person.last_signed_in_at} />],
            [t('password'), t(person.has_password ? 'yes' : 'no')],
            [t('second_factor'), t(person.has_second_factor ? 'yes' : 'no')],
            [t('created'), <Moment key="c" at={person.created_at} />],
            [t('created_by'), <IdLink key="b" id={person.created_by} short />],
          ]}
        />
      </Section>
      <Grants person={person} />
      <Sessions person={person} />
    </Stack>
  );
}

function PersonActs({ person, etag }: { person: Person; etag: string }) {
  const t = useAccessWords();
  const { base } = usePlace();
  const [token, setToken] = useState<string>();
  const ids = { person_id: person.id };
  const isSuspended = person.status === 'suspended';
  const suspension = isSuspended ? '/api/v2/people/{person_id}/resume' : '/api/v2/people/{person_id}/suspend';
  return (
    <>
      <ActButton
        permission="people:suspend"
        icon={isSuspended ? <UserCheck size={14} /> : <UserX size={14} />}
        title={`${t(isSuspended ? 'resume' : 'suspend')}: ${person.name}`}
        verb={t(isSuspended ? 'resume' : 'suspend')}
        consequence={t(isSuspended ? 'resume_person_consequence' : 'suspend_person_consequence')}
        {...(isSuspended ? {} : { danger: 'undoable' })}
        run={(key) => act('post', suspension, { ids, key })}
        call={{ method: 'POST', path: suspension, ids }}
      />
      <FormButton permission="people:edit" label={t('edit')} icon={<Pencil size={14} />}>
        {(close) => <EditDialog person={person} etag={etag} onClose={close} />}
      </FormButton>
      <ActMenu
        acts={[
          {
            permission: 'people:reset_password',
            icon: <KeyRound size={14} />,
            title: `${t('reset_password')}: ${person.name}`,
            verb: t('reset_password'),
            consequence: t('reset_password_consequence'),
            run: async (key) => {
              const outcome = await act('post', '/api/v2/people/{person_id}/password-resets', { ids, key });
              if (outcome.kind === 'done') setToken(outcome.answer.token);
              return outcome;
            },
            call: { method: 'POST', path: '/api/v2/people/{person_id}/password-resets', ids },
          },
          {
            permission: 'people:reset_factors',
            icon: <ShieldOff size={14} />,
            title: `${t('reset_factors')}: ${person.name}`,
            verb: t('reset_factors'),
            consequence: t('reset_factors_consequence'),
            danger: { final: 'people:reset_factors' },
            run: (key) => act('post', '/api/v2/people/{person_id}/reset-factors', { ids, key }),
            call: { method: 'POST', path: '/api/v2/people/{person_id}/reset-factors', ids },
          },
          {
            permission: 'people:remove',
            icon: <UserX size={14} />,
            title: `${t('remove')}: ${person.name}`,
            verb: t('remove'),
            consequence: t('remove_person_consequence'),
            danger: { final: 'people:remove' },
            run: (key) => act('post', '/api/v2/people/{person_id}/remove', { ids, key }),
            call: { method: 'POST', path: '/api/v2/people/{person_id}/remove', ids },
          },
        ]}
      />
      <ShownOnce
        title={`${t('reset_password')}: ${person.name}`}
        about={t('reset_link_about', { name: person.name })}
        secret={token === undefined ? undefined : `${location.origin}${base}/new-password#${token}`}
        onClose={() => setToken(undefined)}
      />
    </>
  );
}

function EditDialog({ person, etag, onClose }: { person: Person; etag: string; onClose: () => void }) {
  const t = useAccessWords();
  const [name, setName] = useState(person.name);
  const [email, setEmail] = useState(person.email);
  const ids = { person_id: person.id };
  const body = {
    ...(name.trim() === person.name ? {} : { name: name.trim() }),
    ...(email.trim() === person.email ? {} : { email: email.trim() }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${t('edit')}: ${person.name}`}
      verb={t('save')}
      consequence={t('edit_person_consequence')}
      isReady={Object.keys(body).length > 0 && name.trim() !== '' && email.trim() !== ''}
      run={(key) => act('patch', '/api/v2/people/{person_id}', { ids, key, body, if_match: etag })}
      call={{ method: 'PATCH', path: '/api/v2/people/{person_id}', ids, body }}
    >
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label={t('email')}
        type="email"
        required
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
    </ActDialog>
  );
}

function Grants({ person }: { person: Person }) {
  const t = useAccessWords();
  const may = useMay();
  const grants = useQuery({
    queryKey: ['grants-of', person.id],
    queryFn: () => get('/api/v2/grants', { query: { person_id: person.id, limit: 100 } }),
    enabled: may('grants:read'),
  });
  if (!may('grants:read')) return null;
  return (
    <Section
      title={t('roles_had')}
      aside={
        person.status !== 'removed' && (
          <FormButton permission="grants:edit" label={t('grant')} icon={<ShieldPlus size={14} />}>
            {(close) => <GrantDialog person={person} onClose={close} />}
          </FormButton>
        )
      }
    >
      {grants.isError ? (
        <Refused error={grants.error} retry={() => void grants.refetch()} />
      ) : grants.data === undefined ? (
        <Loading />
      ) : grants.data.data.length === 0 ? (
        <Empty>{t('no_roles_had')}</Empty>
      ) : (
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('role')}</Table.Th>
                <Table.Th>{t('granted_for')}</Table.Th>
                <Table.Th>{t('since')}</Table.Th>
                <Table.Th>{t('acts')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {grants.data.data.map((grant) => (
                <Table.Tr key={grant.id}>
                  <Table.Td>
                    <Anchor component={Link} to={`/roles/${grant.role}`} size="sm">
                      {grant.role}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    {grant.labels === undefined ? t('everything') : <Labels labels={grant.labels} />}
                  </Table.Td>
                  <Table.Td>
                    <Moment at={grant.created_at} />
                  </Table.Td>
                  <Table.Td>
                    <RevokeGrant grant={grant} name={person.name} />
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

export function RevokeGrant({ grant, name }: { grant: { id: string; role: string }; name: string }) {
  const t = useAccessWords();
  const ids = { grant_id: grant.id };
  return (
    <ActButton
      permission="grants:edit"
      title={`${t('revoke')}: ${grant.role}`}
      verb={t('revoke')}
      consequence={t('revoke_grant_consequence', { name, role: grant.role })}
      danger="undoable"
      run={(key) => act('delete', '/api/v2/grants/{grant_id}', { ids, key })}
      call={{ method: 'DELETE', path: '/api/v2/grants/{grant_id}', ids }}
    />
  );
}

function Sessions({ person }: { person: Person }) {
  const t = useAccessWords();
  const self = useSelf();
  const ids = { person_id: person.id };
  const sessions = useQuery({
    queryKey: ['sessions-of', person.id],
    queryFn: () => get('/api/v2/people/{person_id}/sessions', { ids }),
  });
  const end = (verb: string, body: { session_id?: string }) => (
    <ActButton
      permission="people:sign_out"
      icon={<LogOut size={14} />}
      title={`${t('sign_out')}: ${person.name}`}
      verb={verb}
      consequence={t(body.session_id === undefined ? 'sign_out_all_consequence' : 'sign_out_consequence')}
      danger="undoable"
      run={(key) => act('post', '/api/v2/people/{person_id}/sessions/end', { ids, key, body })}
      call={{ method: 'POST', path: '/api/v2/people/{person_id}/sessions/end', ids, body }}
    />
  );
  return (
    <Section
      title={t('sessions')}
      aside={(sessions.data?.data.length ?? 0) > 0 && end(t('sign_out_everywhere'), {})}
    >
      {self.principal.id === person.id && (
        <Text size="sm" c="dimmed">
          {t('sessions_own')}{' '}
          <Anchor component={Link} to="/me" size="sm">
            {t('my_sessions')}
          </Anchor>
        </Text>
      )}
      {sessions.isError ? (
        <Refused error={sessions.error} retry={() => void sessions.refetch()} />
      ) : sessions.data === undefined ? (
        <Loading />
      ) : sessions.data.data.length === 0 ? (
        <Empty>{t('no_sessions')}</Empty>
      ) : (
        <SessionTable
          sessions={sessions.data.data}
          act={(session) => end(t('sign_out'), { session_id: session.id })}
        />
      )}
    </Section>
  );
}

type Session = BodyOf<'/api/v2/people/{person_id}/sessions'>['data'][number];

export function SessionTable({
  sessions,
  act: actOf,
}: {
  sessions: readonly Session[];
  act: (session: Session) => React.ReactNode;
}) {
  const t = useAccessWords();
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('signed_in_at')}</Table.Th>
            <Table.Th>{t('last_seen')}</Table.Th>
            <Table.Th>{t('address')}</Table.Th>
            <Table.Th>{t('methods')}</Table.Th>
            <Table.Th>{t('browser')}</Table.Th>
            <Table.Th>{t('acts')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sessions.map((session) => (
            <Table.Tr key={session.id}>
              <Table.Td>
                <Moment at={session.created_at} />
              </Table.Td>
              <Table.Td>
                <Moment at={session.last_seen_at} />
              </Table.Td>
              <Table.Td>
                {session.address}{' '}
                <Badge size="xs" variant="light" color={session.environment === 'live' ? 'red' : 'gray'}>
                  {session.environment}
                </Badge>
              </Table.Td>
              <Table.Td>{session.methods.map((method) => t(`by_${method}`)).join(', ')}</Table.Td>
              <Table.Td maw={280}>
                <Text size="xs" truncate="end" title={session.user_agent}>
                  {session.user_agent}
                </Text>
              </Table.Td>
              <Table.Td>
                <Group gap={6} wrap="nowrap">
                  {session.is_current && (
                    <Badge size="sm" variant="light" color="teal">
                      {t('this_one')}
                    </Badge>
                  )}
                  {actOf(session)}
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
