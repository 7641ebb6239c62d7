import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { List, ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { useNotificationWords } from './notification-words.ts';
import { NotificationState } from './states.tsx';

const states = ['waiting', 'sending', 'sent', 'failed', 'suppressed'] as const;
export const channels = ['email', 'sms', 'push', 'webhook', 'in_app'] as const;

export function Page() {
  const t = useNotificationWords();
  const list = useMessageList();
  return <ListPage title={t('messages')} about={t('messages_about')} {...list} />;
}

/** What a recipient was told, or was not. */
export function MessagesOf({ recipient_id }: { recipient_id: string }) {
  const list = useMessageList();
  return (
    <List
      {...list}
      fixed={{ recipient_id }}
      filters={(list.filters ?? []).filter(({ name }) => name !== 'recipient_id')}
      columns={list.columns.filter(({ name }) => name !== 'recipient')}
    />
  );
}

function useMessageList() {
  const t = useNotificationWords();
  const list: Parameters<typeof List<'/api/v2/notifications/messages'>>[0] = {
    path: '/api/v2/notifications/messages',
    permission: 'notifications:read',
    keyOf: ({ id }) => id,
    to: ({ id }) => `/messages/${id}`,
    empty: t('no_messages'),
    filters: [
      { name: 'recipient_id', label: t('recipient_id') },
      { name: 'topic', label: t('topic') },
      {
        name: 'channel',
        label: t('channel'),
        choices: channels.map((value) => ({ value, label: t(`by_${value}`) })),
      },
      {
        name: 'state',
        label: t('state'),
        choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
      },
      { name: 'cause', label: t('cause') },
    ],
    columns: [
      { name: 'topic', title: t('topic'), value: ({ topic }) => topic },
      {
        name: 'channel',
        title: t('channel'),
        value: ({ channel }) => channel,
        show: ({ channel }) => t(`by_${channel}`),
        wide: true,
      },
      {
        name: 'recipient',
        title: t('recipient'),
        value: ({ recipient_id }) => recipient_id,
        show: ({ recipient_id }) => <IdLink id={recipient_id} short />,
        wide: true,
      },
      {
        name: 'state',
        title: t('state'),
        value: ({ state }) => state,
        show: ({ state }) => <NotificationState state={state} />,
      },
      {
        name: 'why',
        title: t('why'),
        value: ({ steps }) => steps.at(-1)?.detail,
        wide: true,
      },
      {
        name: 'id',
        title: t('id'),
        value: ({ id }) => id,
        show: ({ id }) => <CopyId id={id} to={`/messages/${id}`} short />,
        wide: true,
      },
      {
        name: 'created_at',
        title: t('created'),
        value: ({ created_at }) => created_at,
        show: ({ created_at }) => <Moment at={created_at} />,
        wide: true,
      },
    ],
  };
  return list;
}
