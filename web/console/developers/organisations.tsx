/** Partners whose developers came by a portal, and whether they are let in. */
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { Standing } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';
import { OrganisationActs } from './organisation-acts.tsx';

const states = ['pending', 'active', 'suspended', 'rejected'] as const;

export function Page() {
  const t = useDevelopersWords();
  return (
    <ListPage
      title={t('organisations')}
      about={t('organisations_about')}
      path="/api/v2/organisations"
      permission="organisations:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/organisations/${id}`}
      filters={[
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`status_${value}`) })),
        },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/organisations/${id}`} short />,
          wide: true,
        },
        {
          name: 'contact_email',
          title: t('contact'),
          value: ({ contact_email }) => contact_email,
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <Standing status={status} />,
        },
        {
          name: 'created_at',
          title: t('joined'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => '',
          show: ({ id, name, status }) => <OrganisationActs id={id} name={name} status={status} />,
        },
      ]}
    />
  );
}
