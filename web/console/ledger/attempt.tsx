/** What became of a request: what was asked, and if it was refused, what stood against it. */
import { Alert, Badge, Code, Group, Pagination, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { CircleAlert } from 'lucide-react';
import { useState } from 'react';
import { useParams } from 'react-router';
import { type BodyOf, get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { WhatStoodAgainst } from './refusal.tsx';

type Attempt = BodyOf<'/api/v2/attempts/{key}'>;
type Item = NonNullable<Attempt['items']>[number];

const ON_PAGE = 20;

export function Page() {
  return (
    <Permitted permission="attempts:read">
      <AttemptPage />
    </Permitted>
  );
}

function OutcomeBadge({ outcome }: { outcome: 'done' | 'refused' }) {
  const t = useLedgerWords();
  return (
    <Badge size="sm" variant="light" color={outcome === 'done' ? 'teal' : 'red'}>
      {t(`outcome_${outcome}`)}
    </Badge>
  );
}

function AttemptPage() {
  const t = useLedgerWords();
  const { key = '' } = useParams();
  const ids = { key };
  const found = useQuery({
    queryKey: ['attempt', key],
    queryFn: () => get('/api/v2/attempts/{key}', { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const attempt = found.data;
  const refused = attempt.items?.filter(({ outcome }) => outcome === 'refused').length ?? 0;
  return (
    <Stack gap="sm">
      <ThingHead
        title={attempt.operation}
        id={attempt.key}
        badge={attempt.outcome !== undefined && <OutcomeBadge outcome={attempt.outcome} />}
        actions={<ApiCallButton calls={[{ method: 'GET', path: '/api/v2/attempts/{key}', ids }]} />}
      />
      <Section>
        <Facts
          facts={[
            [t('asked_at'), <Moment key="a" at={attempt.created_at} />],
            ...(attempt.items === undefined
              ? []
              : [[t('items'), t('items_of', { count: attempt.items.length, refused })] as const]),
            ...(attempt.result === undefined
              ? []
              : [[t('result'), <IdLink key="r" id={attempt.result.id ?? attempt.result.href} />] as const]),
          ]}
        />
      </Section>
      {attempt.items === undefined ? (
        <Outcome of={attempt} operation={attempt.operation} at={attempt.created_at} />
      ) : (
        <Items items={attempt.items} attempt={attempt} />
      )}
    </Stack>
  );
}

/** Those that were refused come first: whoever looks here looks for them. */
function Items({ items, attempt }: { items: readonly Item[]; attempt: Attempt }) {
  const t = useLedgerWords();
  const [page, setPage] = useState(1);
  const ordered = items.toSorted(
    (a, b) => Number(b.outcome === 'refused') - Number(a.outcome === 'refused') || a.item - b.item,
  );
  const pages = Math.ceil(items.length / ON_PAGE);
  return (
    <>
      {ordered.slice((page - 1) * ON_PAGE, page * ON_PAGE).map((item) => (
        <Section
          key={item.item}
          title={t('item_number', { number: item.item })}
          aside={
            <Group gap="xs">
              {item.result !== undefined && <IdLink id={item.result.id} short />}
              <OutcomeBadge outcome={item.outcome} />
            </Group>
          }
        >
          {item.outcome === 'refused' && (
            <Outcome of={item} operation={attempt.operation} at={attempt.created_at} />
          )}
        </Section>
      ))}
      {pages > 1 && <Pagination total={pages} value={page} onChange={setPage} />}
    </>
  );
}

function Outcome({ of, operation, at }: { of: Attempt | Item; operation: string; at: string }) {
  const t = useLedgerWords();
  const { problem, request } = of;
  return (
    <>
      {problem !== undefined && (
        <Alert color="red" variant="light" icon={<CircleAlert size={18} />} title={problem.title}>
          <Text size="sm">{problem.detail}</Text>
          <Text size="xs" c="dimmed">
            {problem.code} · {problem.status}
          </Text>
        </Alert>
      )}
      {problem !== undefined && (
        <WhatStoodAgainst problem={problem} request={request} operation={operation} at={at} />
      )}
      <Section title={t('was_asked')}>
        <Code block tabIndex={0}>
          {JSON.stringify(request ?? null, null, 2)}
        </Code>
      </Section>
    </>
  );
}
