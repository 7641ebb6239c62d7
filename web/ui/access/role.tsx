import { Badge, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Pencil, Trash2 } from 'lucide-react';
import { useNavigate, useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../act-button.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Permitted, useMay } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { Loading, Refused } from '../states.tsx';
import { useAccessWords } from './access-words.ts';
import { GrantsOfRole } from './grants.tsx';
import { Permissions } from './permissions.tsx';
import { RoleDialog } from './role-dialog.tsx';

export function Page() {
  return (
    <Permitted permission="roles:read">
      <RolePage />
    </Permitted>
  );
}

function RolePage() {
  const t = useAccessWords();
  const may = useMay();
  const navigate = useNavigate();
  const { role: name = '' } = useParams();
  const ids = { role: name };
  const found = useQuery({
    queryKey: ['role', name],
    queryFn: () => getTagged('/api/v2/roles/{role}', { ids }),
    // A role that was deleted is looked for no more.
    retry: false,
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: role, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={role.name.replaceAll('_', ' ')}
        id={role.name}
        badge={
          <Badge size="sm" variant="light" color={role.predefined ? 'gray' : 'tide'}>
            {t(role.predefined ? 'predefined' : 'own')}
          </Badge>
        }
        actions={
          <>
            {!role.predefined && (
              <>
                <FormButton permission="roles:edit" label={t('edit')} icon={<Pencil size={14} />}>
                  {(close) => <RoleDialog edited={{ role, etag }} onClose={close} />}
                </FormButton>
                <ActButton
                  permission="roles:edit"
                  icon={<Trash2 size={14} />}
                  title={`${t('delete')}: ${role.name}`}
                  verb={t('delete')}
                  consequence={t('delete_role_consequence')}
                  danger={{ final: 'roles:edit' }}
                  run={(key) => act('delete', '/api/v2/roles/{role}', { ids, key })}
                  call={{ method: 'DELETE', path: '/api/v2/roles/{role}', ids }}
                  onDone={() => void navigate('/roles')}
                />
              </>
            )}
            <HistoryButton subject={role.name} />
            <ApiCallButton calls={[{ method: 'GET', path: '/api/v2/roles/{role}', ids }]} />
          </>
        }
      />
      <Section>
        <Text size="sm">{role.description}</Text>
        {!role.predefined && (
          <Facts
            facts={[
              [t('created'), <Moment key="c" at={role.created_at} />],
              [t('created_by'), <IdLink key="b" id={role.created_by} short />],
              [t('updated'), <Moment key="u" at={role.updated_at} />],
            ]}
          />
        )}
      </Section>
      <Section title={t('may_do')}>
        <Permissions permissions={role.includes} />
      </Section>
      {may('grants:read') && (
        <Section title={t('who_has_it')}>
          <GrantsOfRole role={role.name} />
        </Section>
      )}
    </Stack>
  );
}
