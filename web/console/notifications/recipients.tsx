import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useNotificationWords } from './notification-words.ts';
import { NotificationState } from './states.tsx';

const kinds = ['staff', 'customer', 'organisation'] as const;
const states = ['active', 'disabled'] as const;

export function Page() {
  const t = useNotificationWords();
  return (
    <ListPage
      title={t('recipients')}
      about={t('recipients_about')}
      path="/api/v2/notifications/recipients"
      permission="notifications:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/recipients/${id}`}
      empty={t('no_recipients')}
      filters={[
        {
          name: 'kind',
          label: t('kind'),
          choices: kinds.map((value) => ({ value, label: t(`kind_${value}`) })),
        },
        {
          name: 'status',
          label: t('state'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
        { name: 'reference', label: t('reference') },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        {
          name: 'kind',
          title: t('kind'),
          value: ({ kind }) => kind,
          show: ({ kind }) => t(`kind_${kind}`),
          wide: true,
        },
        { name: 'email', title: t('by_email'), value: ({ email }) => email, wide: true },
        { name: 'phone', title: t('phone'), value: ({ phone }) => phone, wide: true },
        { name: 'language', title: t('language'), value: ({ language }) => language, wide: true },
        {
          name: 'status',
          title: t('state'),
          value: ({ status }) => status,
          show: ({ status }) => <NotificationState state={status} />,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/recipients/${id}`} short />,
          wide: true,
        },
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
