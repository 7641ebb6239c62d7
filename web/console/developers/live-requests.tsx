/** What organisations of developers ask to do beyond their own sandbox, to be given or refused. */
import { Text } from '@mantine/core';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { List, ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Standing } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';
import { LiveRequestActs } from './live-request-acts.tsx';

const states = ['pending', 'approved', 'rejected'] as const;

export function Page() {
  const t = useDevelopersWords();
  const list = useLiveRequestList();
  return <ListPage title={t('live_requests')} about={t('live_requests_about')} {...list} />;
}

/** What an organisation asked for. */
export function LiveRequestsOf({ organisation_id }: { organisation_id: string }) {
  const list = useLiveRequestList();
  return (
    <List
      {...list}
      fixed={{ organisation_id }}
      columns={list.columns.filter(({ name }) => name !== 'organisation')}
    />
  );
}

function useLiveRequestList() {
  const t = useDevelopersWords();
  const list: Parameters<typeof List<'/api/v2/live-requests'>>[0] = {
    path: '/api/v2/live-requests',
    permission: 'live_access:read',
    keyOf: ({ id }) => id,
    to: ({ id }) => `/live-requests/${id}`,
    empty: t('no_live_requests'),
    filters: [
      {
        name: 'status',
        label: t('status'),
        choices: states.map((value) => ({ value, label: t(`status_${value}`) })),
      },
    ],
    columns: [
      {
        name: 'organisation',
        title: t('organisation'),
        value: ({ organisation_name }) => organisation_name,
      },
      { name: 'name', title: t('application'), value: ({ name }) => name },
      {
        name: 'purpose',
        title: t('purpose'),
        value: ({ purpose }) => purpose,
        show: ({ purpose }) => (
          <Text size="sm" lineClamp={3} maw={260}>
            {purpose}
          </Text>
        ),
        wide: true,
      },
      {
        name: 'scopes',
        title: t('asks_for'),
        value: ({ scopes }) => scopes.join(' '),
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
        title: t('asked'),
        value: ({ created_at }) => created_at,
        show: ({ created_at }) => <Moment at={created_at} />,
        wide: true,
      },
      {
        name: 'id',
        title: t('id'),
        value: ({ id }) => id,
        show: ({ id }) => <CopyId id={id} to={`/live-requests/${id}`} short />,
        wide: true,
      },
      {
        name: 'acts',
        title: t('acts'),
        value: () => '',
        show: ({ id, name, organisation_name, scopes, status, application_id }) =>
          status === 'pending' ? (
            <LiveRequestActs id={id} title={`${organisation_name}: ${name}`} scopes={scopes} />
          ) : application_id === undefined ? null : (
            <IdLink id={application_id} short />
          ),
      },
    ],
  };
  return list;
}
