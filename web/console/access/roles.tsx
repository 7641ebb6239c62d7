/** Roles: what there is, and a matrix of what each may do. */
import { Anchor, Badge, Group, Stack, Tabs, Text, TextInput, Title, VisuallyHidden } from '@mantine/core';
import { Check, Plus } from 'lucide-react';
import { Fragment, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import type { BodyOf } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { useRoles } from '../../ui/access/grant-dialog.tsx';
import { byResource } from '../../ui/access/permission-picker.tsx';
import { RoleDialog } from '../../ui/access/role-dialog.tsx';
import { FormButton } from '../../ui/act-button.tsx';
import { List } from '../../ui/list-page.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import './access.css';

type Role = BodyOf<'/api/v2/roles'>['data'][number];

export function Page() {
  const t = useAccessWords();
  return (
    <Stack gap="sm">
      <title>{`${t('roles')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('roles')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('roles_about')}
      </Text>
      <Permitted permission="roles:read">
        <Roles />
      </Permitted>
    </Stack>
  );
}

function Roles() {
  const t = useAccessWords();
  return (
    <Tabs defaultValue="roles" keepMounted={false}>
      <Tabs.List mb="sm">
        <Tabs.Tab value="roles">{t('roles')}</Tabs.Tab>
        <Tabs.Tab value="matrix">{t('matrix')}</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="roles">
        <RoleList />
      </Tabs.Panel>
      <Tabs.Panel value="matrix">
        <Matrix />
      </Tabs.Panel>
    </Tabs>
  );
}

function RoleList() {
  const t = useAccessWords();
  const navigate = useNavigate();
  return (
    <List
      path="/api/v2/roles"
      permission="roles:read"
      keyOf={({ name }) => name}
      to={({ name }) => `/roles/${name}`}
      filters={[{ name: 'role', label: t('role'), isHere: true }]}
      actions={
        <FormButton permission="roles:edit" label={t('make_role')} icon={<Plus size={14} />} isPrimary>
          {(close) => <RoleDialog onClose={close} onDone={(name) => void navigate(`/roles/${name}`)} />}
        </FormButton>
      }
      columns={[
        {
          name: 'role',
          title: t('role'),
          value: ({ name }) => name,
          show: ({ name, predefined }) => (
            <Group gap={6}>
              <Anchor component={Link} to={`/roles/${name}`} size="sm">
                {name}
              </Anchor>
              {!predefined && (
                <Badge size="xs" variant="light" color="tide">
                  {t('own')}
                </Badge>
              )}
            </Group>
          ),
        },
        { name: 'description', title: t('description'), value: ({ description }) => description, wide: true },
        {
          name: 'permissions',
          title: t('permissions'),
          value: ({ includes }) => includes.length,
          align: 'right',
          order: 'number',
        },
      ]}
    />
  );
}

function Matrix() {
  const found = useRoles();
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  return <RoleMatrix roles={found.data.data} />;
}

function RoleMatrix({ roles }: { roles: readonly Role[] }) {
  const t = useAccessWords();
  const [wanted, setWanted] = useState('');
  const all = [...new Set(roles.flatMap(({ includes }) => includes))];
  const text = wanted.trim().toLowerCase();
  const shown = byResource(all.filter((permission) => permission.includes(text)));
  const sets = roles.map(({ name, includes }) => ({ name, includes: new Set(includes) }));
  return (
    <Stack gap="xs">
      <TextInput
        aria-label={t('filter_permissions')}
        placeholder={t('filter_permissions')}
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
        maw={280}
      />
      {shown.size === 0 ? (
        <Empty>{t('no_permission_so')}</Empty>
      ) : (
        <section className="matrix" aria-label={t('matrix')} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('permission')}</th>
                {roles.map(({ name }) => (
                  <th key={name} scope="col">
                    <Anchor component={Link} to={`/roles/${name}`} size="xs">
                      {name.replaceAll('_', ' ')}
                    </Anchor>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {[...shown].map(([resource, permissions]) => (
                <Fragment key={resource}>
                  <tr className="resource">
                    <th scope="rowgroup" colSpan={roles.length + 1}>
                      <span>{resource}</span>
                    </th>
                  </tr>
                  {permissions.map((permission) => (
                    <tr key={permission}>
                      <th scope="row">{permission.slice(resource.length + 1)}</th>
                      {sets.map(({ name, includes }) => (
                        <td key={name} data-may={includes.has(permission)}>
                          {includes.has(permission) && (
                            <>
                              <Check size={14} aria-hidden />
                              <VisuallyHidden>{t('yes')}</VisuallyHidden>
                            </>
                          )}
                        </td>
                      ))}
                    </tr>
                  ))}
                </Fragment>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Stack>
  );
}
