/** Where one is signed in oneself, what one may do, and which applications one has allowed something. */
import { Button, Group, Stack, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { LogOut } from 'lucide-react';
import { act } from '../../api/act.ts';
import { type BodyOf, get, send } from '../../api/client.ts';
import { ActButton } from '../act-button.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { CopyId } from '../copy-id.tsx';
import { Facts, Section } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { Security } from '../security/security.tsx';
import { useMay, useSelf } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { Empty, Loading, Refused } from '../states.tsx';
import { useAccessWords } from './access-words.ts';
import { LimitsTable } from './key.tsx';
import { Permissions } from './permissions.tsx';
import { SessionTable } from './person.tsx';

type Sessions = BodyOf<'/api/v2/people/{person_id}/sessions'>;

export function Page() {
  const t = useAccessWords();
  const self = useSelf();
  return (
    <Stack gap="sm">
      <title>{`${t('me')} · financialapi`}</title>
      <Group justify="space-between">
        <Title order={1} size="h3">
          {t('me')}
        </Title>
        <ApiCallButton
          calls={[
            { method: 'GET', path: '/api/v2/self' },
            { method: 'GET', path: '/api/v2/limits' },
          ]}
        />
      </Group>
      <Section>
        <Facts
          facts={[
            [t('name'), self.principal.name],
            [t('id'), <CopyId key="i" id={self.principal.id} />],
            [t('institution'), self.tenant.name],
            [t('environment'), self.environment],
            [t('plan'), self.plan],
          ]}
        />
      </Section>
      {self.principal.kind === 'person' && <Security />}
      <OwnSessions />
      <OwnLimits />
      <Consents />
      <Section title={t('may_do')}>
        <Permissions permissions={self.permissions} />
      </Section>
    </Stack>
  );
}

function OwnSessions() {
  const t = useAccessWords();
  const queries = useQueryClient();
  const self = useSelf();
  const sessions = useQuery({
    queryKey: ['own-sessions'],
    queryFn: async () => {
      const { text } = await send({ method: 'GET', path: '/identity/me/sessions' });
      const answer: Sessions = JSON.parse(text);
      return answer;
    },
    enabled: self.principal.kind === 'person',
  });
  const end = async (body: { session_id?: string }) => {
    await send({ method: 'POST', path: '/identity/me/sessions/end', body });
    await queries.invalidateQueries({ queryKey: ['own-sessions'] });
  };
  if (self.principal.kind !== 'person') return null;
  const others = (sessions.data?.data ?? []).filter(({ is_current }) => !is_current);
  return (
    <Section
      title={t('my_sessions')}
      aside={
        others.length > 0 && (
          <Button variant="default" leftSection={<LogOut size={14} />} onClick={() => void end({})}>
            {t('sign_out_others')}
          </Button>
        )
      }
    >
      {sessions.isError ? (
        <Refused error={sessions.error} retry={() => void sessions.refetch()} />
      ) : sessions.data === undefined ? (
        <Loading />
      ) : (
        <SessionTable
          sessions={sessions.data.data}
          act={(session) =>
            !session.is_current && (
              <Button
                variant="default"
                leftSection={<LogOut size={14} />}
                onClick={() => void end({ session_id: session.id })}
              >
                {t('sign_out')}
              </Button>
            )
          }
        />
      )}
    </Section>
  );
}

function OwnLimits() {
  const t = useAccessWords();
  const may = useMay();
  const limits = useQuery({
    queryKey: ['own-limits'],
    queryFn: () => get('/api/v2/limits'),
    enabled: may('limits:read'),
  });
  if (!may('limits:read')) return null;
  return (
    <Section title={t('my_limits')}>
      {limits.isError ? (
        <Refused error={limits.error} retry={() => void limits.refetch()} />
      ) : limits.data === undefined ? (
        <Loading />
      ) : (
        <LimitsTable limits={limits.data.limits} />
      )}
    </Section>
  );
}

function Consents() {
  const t = useAccessWords();
  const may = useMay();
  const consents = useQuery({
    queryKey: ['consents'],
    queryFn: () => get('/api/v2/consents', { query: { limit: 100 } }),
    enabled: may('consents:read'),
  });
  if (!may('consents:read')) return null;
  return (
    <Section title={t('consents')}>
      {consents.isError ? (
        <Refused error={consents.error} retry={() => void consents.refetch()} />
      ) : consents.data === undefined ? (
        <Loading />
      ) : consents.data.data.length === 0 ? (
        <Empty>{t('no_consents')}</Empty>
      ) : (
        consents.data.data.map((consent) => (
          <Group key={consent.id} justify="space-between" align="flex-start">
            <Stack gap={4}>
              <Group gap="xs">
                <IdLink id={consent.application_id} short />
                <Moment at={consent.created_at} />
              </Group>
              <Permissions permissions={consent.scopes} />
            </Stack>
            <ActButton
              permission="consents:revoke"
              title={t('revoke')}
              verb={t('revoke')}
              consequence={t('revoke_consent_consequence')}
              danger={{ final: 'consents:revoke' }}
              run={(key) =>
                act('post', '/api/v2/consents/{consent_id}/revoke', { ids: { consent_id: consent.id }, key })
              }
              call={{
                method: 'POST',
                path: '/api/v2/consents/{consent_id}/revoke',
                ids: { consent_id: consent.id },
              }}
            />
          </Group>
        ))
      )}
    </Section>
  );
}
