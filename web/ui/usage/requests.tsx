import { Badge } from '@mantine/core';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { ListPage } from '../list-page.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { durationText } from '../usage-figures.tsx';
import { UsageRequestButton } from '../usage-request.tsx';
import { useLocale } from '../words.ts';
import { useUsagePageWords } from './usage-page-words.ts';

const outcomes = ['errors', '2xx', '3xx', '4xx', '5xx'] as const;

export function Page() {
  const t = useUsagePageWords();
  const locale = useLocale();
  return (
    <ListPage
      title={t('requests')}
      about={t('requests_about')}
      path="/api/v2/usage/requests"
      permission="usage:read"
      keyOf={({ id }) => id}
      empty={t('no_requests')}
      filters={[
        { name: 'application_id', label: t('application') },
        { name: 'principal_id', label: t('caller') },
        { name: 'route', label: t('by_route') },
        {
          name: 'status_class',
          label: t('outcome'),
          choices: outcomes.map((value) => ({ value, label: t(`outcome_${value}`) })),
        },
      ]}
      columns={[
        {
          name: 'occurred_at',
          title: t('when'),
          value: ({ occurred_at }) => occurred_at,
          show: ({ occurred_at }) => <Moment at={occurred_at} />,
        },
        {
          name: 'path',
          title: t('by_route'),
          value: ({ method, path }) => `${method} ${path}`,
        },
        {
          name: 'status',
          title: t('by_status'),
          value: ({ status }) => status,
          show: ({ status, code }) => (
            <Badge
              variant="light"
              tt="none"
              miw="max-content"
              color={status < 400 ? 'tide' : status < 500 ? 'orange' : 'red'}
            >
              {code === undefined ? status : `${status} ${code}`}
            </Badge>
          ),
          order: 'number',
        },
        {
          name: 'duration_ms',
          title: t('took'),
          value: ({ duration_ms }) => duration_ms,
          show: ({ duration_ms }) => durationText(duration_ms, locale),
          align: 'right',
          order: 'number',
          wide: true,
        },
        {
          name: 'principal',
          title: t('by_principal'),
          value: ({ principal }) => principal.id,
          show: ({ principal }) => <IdLink id={principal.id} short />,
          wide: true,
        },
        {
          name: 'contents',
          title: t('contents'),
          value: ({ body }) => (body === undefined ? '' : JSON.stringify(body)),
          show: (request) => <UsageRequestButton request={request} />,
        },
        {
          name: 'request_id',
          title: t('request_id'),
          value: ({ request_id }) => request_id,
          show: ({ request_id }) => <CopyId id={request_id} short />,
          wide: true,
        },
      ]}
    />
  );
}
