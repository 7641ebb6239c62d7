import { Anchor, Group } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ShieldPlus } from 'lucide-react';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { FormButton } from '../act-button.tsx';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Labels } from '../labels.tsx';
import { List, ListPage } from '../list-page.tsx';
import { useMay } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { useAccessWords } from './access-words.ts';
import { GrantDialog, useRoles } from './grant-dialog.tsx';
import { RevokeGrant } from './person.tsx';

export function Page() {
  const t = useAccessWords();
  const list = useGrantList();
  return <ListPage title={t('grants')} about={t('grants_about')} {...list} />;
}

/** Who has a role. */
export function GrantsOfRole({ role }: { role: string }) {
  const { actions: _, filters = [], ...list } = useGrantList();
  return <List {...list} fixed={{ role }} filters={filters.filter(({ name }) => name !== 'role')} />;
}

function useGrantList() {
  const t = useAccessWords();
  const roles = useRoles();
  const list: Parameters<typeof List<'/api/v2/grants'>>[0] = {
    path: '/api/v2/grants',
    permission: 'grants:read',
    keyOf: ({ id }) => id,
    actions: (
      <FormButton permission="grants:edit" label={t('grant')} icon={<ShieldPlus size={14} />} isPrimary>
        {(close) => <GrantDialog onClose={close} />}
      </FormButton>
    ),
    filters: [
      {
        name: 'role',
        label: t('role'),
        choices: roles.data?.data.map(({ name }) => ({ value: name, label: name })) ?? [],
      },
      { name: 'person_id', label: t('person_id') },
    ],
    columns: [
      {
        name: 'person',
        title: t('person'),
        value: ({ person_id }) => person_id,
        show: ({ person_id }) => <PersonName id={person_id} />,
      },
      {
        name: 'role',
        title: t('role'),
        value: ({ role }) => role,
        show: ({ role }) => (
          <Anchor component={Link} to={`/roles/${role}`} size="sm">
            {role}
          </Anchor>
        ),
      },
      {
        name: 'labels',
        title: t('granted_for'),
        value: ({ labels }) => (labels === undefined ? '' : JSON.stringify(labels)),
        show: ({ labels }) => (labels === undefined ? t('everything') : <Labels labels={labels} />),
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
        name: 'created_by',
        title: t('granted_by'),
        value: ({ created_by }) => created_by,
        show: ({ created_by }) => <IdLink id={created_by} short />,
        wide: true,
      },
      {
        name: 'created_at',
        title: t('since'),
        value: ({ created_at }) => created_at,
        show: ({ created_at }) => <Moment at={created_at} />,
        wide: true,
      },
      {
        name: 'acts',
        title: t('acts'),
        value: () => undefined,
        show: (grant) => (
          <Group gap={6} wrap="nowrap">
            <RevokeGrant grant={grant} name={grant.person_id} />
            <HistoryButton subject={grant.id} named={grant.role} />
          </Group>
        ),
      },
    ],
  };
  return list;
}

/** The name of a person, where one may see it, and their id otherwise. */
export function PersonName({ id }: { id: string }) {
  const may = useMay();
  const person = useQuery({
    queryKey: ['person', id],
    queryFn: () => get('/api/v2/people/{person_id}', { ids: { person_id: id } }),
    enabled: may('people:read'),
    staleTime: 60_000,
    retry: false,
  });
  if (person.data === undefined) return <IdLink id={id} short />;
  return (
    <Anchor component={Link} to={`/people/${id}`} size="sm">
      {person.data.name}
    </Anchor>
  );
}
