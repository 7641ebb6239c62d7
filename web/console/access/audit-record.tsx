import { Anchor, Code, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Diff } from '../../ui/diff.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { AuditOutcome } from './audit-outcome.tsx';

const kinds = ['key', 'person', 'application', 'service', 'device', 'anonymous'] as const;

export function Page() {
  return (
    <Permitted permission="audit:read">
      <RecordPage />
    </Permitted>
  );
}

function RecordPage() {
  const t = useAccessWords();
  const { record_id = '' } = useParams();
  const ids = { record_id };
  const found = useQuery({
    queryKey: ['audit', record_id],
    queryFn: () => get('/api/v2/audit/{record_id}', { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const record = found.data;
  const kindOf = (kind: string) => {
    const known = kinds.find((one) => one === kind);
    return known === undefined ? kind : t(`kind_${known}`);
  };
  const like = (name: 'principal' | 'subject' | 'request_id', value: string) => (
    <Anchor component={Link} to={`/audit?${new URLSearchParams({ [name]: value }).toString()}`} size="xs">
      {t('all_like_it')}
    </Anchor>
  );
  return (
    <Stack gap="sm">
      <ThingHead
        title={record.permission ?? `${record.method} ${record.route ?? record.path}`}
        id={record.id}
        badge={<AuditOutcome outcome={record.outcome} />}
        actions={<ApiCallButton calls={[{ method: 'GET', path: '/api/v2/audit/{record_id}', ids }]} />}
      />
      <Section>
        <Facts
          facts={[
            [t('when'), <Moment key="w" at={record.occurred_at} />],
            [
              t('who'),
              <Stack key="p" gap={6}>
                <Text size="sm">
                  {record.principal.name} ({kindOf(record.principal.kind)})
                </Text>
                <IdLink id={record.principal.id} short />
                {like('principal', record.principal.id)}
              </Stack>,
            ],
            ...(record.on_behalf_of === undefined
              ? []
              : [
                  [
                    t('on_behalf_of'),
                    <Stack key="o" gap={6}>
                      <Text size="sm">{record.on_behalf_of.name}</Text>
                      <IdLink id={record.on_behalf_of.id} short />
                    </Stack>,
                  ] as const,
                ]),
            [t('from_address'), record.address],
            [t('request'), <Code key="r">{`${record.method} ${record.path}`}</Code>],
            [t('answer'), `${record.status}${record.code === undefined ? '' : ` ${record.code}`}`],
            [
              t('subject'),
              record.subject === undefined ? (
                '–'
              ) : (
                <Stack key="s" gap={6}>
                  <IdLink id={record.subject} short />
                  {like('subject', record.subject)}
                </Stack>
              ),
            ],
            [
              t('request_id'),
              <Stack key="q" gap={6}>
                <CopyId id={record.request_id} />
                {like('request_id', record.request_id)}
              </Stack>,
            ],
            [t('recorded_at'), <Moment key="d" at={record.recorded_at} />],
            [t('dry_run'), t(record.dry_run ? 'yes' : 'no')],
            [t('replayed'), t(record.replayed ? 'yes' : 'no')],
          ]}
        />
      </Section>
      {(record.before !== undefined || record.after !== undefined) && (
        <Section title={t('what_changed')}>
          <Diff before={record.before} after={record.after} />
        </Section>
      )}
    </Stack>
  );
}
