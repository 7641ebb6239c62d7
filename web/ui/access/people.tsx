import { Badge } from '@mantine/core';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { ListPage } from '../list-page.tsx';
import { useAccessWords } from './access-words.ts';
import { InviteButton } from './invite.tsx';
import { AccessStatus } from './status.tsx';

const states = ['active', 'suspended', 'removed'] as const;

export function Page() {
  const t = useAccessWords();
  return (
    <ListPage
      title={t('people')}
      about={t('people_about')}
      path="/api/v2/people"
      permission="people:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/people/${id}`}
      actions={<InviteButton />}
      filters={[
        { name: 'q', label: t('search_person') },
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        { name: 'email', title: t('email'), value: ({ email }) => email },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/people/${id}`} short />,
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <AccessStatus status={status} />,
          wide: true,
        },
        {
          name: 'second_factor',
          title: t('second_factor'),
          value: ({ has_second_factor }) => String(has_second_factor),
          show: ({ has_second_factor }) =>
            has_second_factor ? (
              t('yes')
            ) : (
              <Badge size="sm" variant="light" color="orange">
                {t('no')}
              </Badge>
            ),
          wide: true,
        },
        {
          name: 'last_signed_in_at',
          title: t('last_signed_in'),
          value: ({ last_signed_in_at }) => last_signed_in_at,
          show: ({ last_signed_in_at }) => <Moment at={last_signed_in_at} />,
          wide: true,
        },
      ]}
    />
  );
}
