import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { ListPage } from '../list-page.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { useEventWords } from './event-words.ts';

export function Page() {
  const t = useEventWords();
  return (
    <ListPage
      title={t('events')}
      about={t('events_about')}
      path="/api/v2/events"
      permission="events:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/events/${id}`}
      filters={[
        { name: 'type', label: t('event_type') },
        { name: 'subject', label: t('subject') },
      ]}
      columns={[
        {
          name: 'sequence',
          title: t('sequence'),
          value: ({ sequence }) => sequence,
          align: 'right',
          order: 'number',
        },
        { name: 'type', title: t('event_type'), value: ({ type }) => type },
        {
          name: 'subject',
          title: t('subject'),
          value: ({ subject }) => subject,
          show: ({ subject }) => <IdLink id={subject} short />,
          wide: true,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/events/${id}`} short />,
          wide: true,
        },
        {
          name: 'ledgerposition',
          title: t('position'),
          value: ({ ledgerposition }) => ledgerposition,
          align: 'right',
          order: 'number',
          wide: true,
        },
        {
          name: 'time',
          title: t('when'),
          value: ({ time }) => time,
          show: ({ time }) => <Moment at={time} />,
          wide: true,
        },
      ]}
    />
  );
}
