import { Badge, Code, Group, SimpleGrid, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Send } from 'lucide-react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { ActButton } from '../act-button.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Permitted } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { Empty, Loading, Refused } from '../states.tsx';
import { useLocale } from '../words.ts';
import { WebhookStatus } from './status.tsx';
import { useWebhookWords } from './webhook-words.ts';

type Attempt = BodyOf<'/api/v2/webhooks/deliveries/{delivery_id}'>['attempted'][number];

const PATH = '/api/v2/webhooks/deliveries/{delivery_id}';
/** While attempts are still made, what came of them is looked for again. */
const LOOK_AGAIN_MS = 3_000;

export function Page() {
  return (
    <Permitted permission="webhooks:read">
      <DeliveryPage />
    </Permitted>
  );
}

function DeliveryPage() {
  const t = useWebhookWords();
  const { delivery_id = '' } = useParams();
  const ids = { delivery_id };
  const found = useQuery({
    queryKey: ['delivery', delivery_id],
    queryFn: () => get(PATH, { ids }),
    refetchInterval: ({ state }) =>
      state.data?.status === 'waiting' || state.data?.status === 'pending' ? LOOK_AGAIN_MS : false,
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const delivery = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={delivery.event_type}
        id={delivery.id}
        badge={
          <>
            <WebhookStatus status={delivery.status} />
            {delivery.is_test && (
              <Badge size="sm" variant="default">
                {t('test')}
              </Badge>
            )}
          </>
        }
        actions={
          <>
            <ActButton
              permission="webhooks:write"
              icon={<Send size={14} />}
              title={t('resend')}
              verb={t('resend')}
              consequence={t('resend_consequence')}
              run={(key) => act('post', `${PATH}/resend`, { ids, key })}
              call={{ method: 'POST', path: `${PATH}/resend`, ids, idempotent: true }}
            />
            <HistoryButton subject={delivery.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('endpoint'), <IdLink key="e" id={delivery.endpoint_id} />],
            [t('event_id'), <IdLink key="v" id={delivery.event_id} />],
            [t('subject'), <IdLink key="s" id={delivery.subject} />],
            [t('event_time'), <Moment key="t" at={delivery.event_time} />],
            [t('attempts'), String(delivery.attempts)],
            ...(delivery.next_attempt_at === undefined
              ? []
              : [[t('next_attempt'), <Moment key="n" at={delivery.next_attempt_at} />] as const]),
            ...(delivery.finished_at === undefined
              ? []
              : [[t('finished'), <Moment key="f" at={delivery.finished_at} />] as const]),
          ]}
        />
      </Section>
      {delivery.attempted.length === 0 ? (
        <Section title={t('attempts')}>
          <Empty>{t('no_attempts')}</Empty>
        </Section>
      ) : (
        delivery.attempted.map((attempt) => <AttemptSection key={attempt.number} attempt={attempt} />)
      )}
      <Section title={t('body')}>
        <Code block tabIndex={0}>
          {JSON.stringify(delivery.body, null, 2)}
        </Code>
      </Section>
    </Stack>
  );
}

function AttemptSection({ attempt }: { attempt: Attempt }) {
  const t = useWebhookWords();
  const locale = useLocale();
  const { answer } = attempt;
  const isGood = answer !== undefined && answer.status >= 200 && answer.status < 300;
  return (
    <Section
      title={t('attempt', { number: attempt.number })}
      aside={
        <Group gap="xs">
          <Badge size="sm" variant="light" color={isGood ? 'teal' : 'red'}>
            {answer === undefined ? t('no_answer') : `HTTP ${answer.status}`}
          </Badge>
          <Text size="xs" c="dimmed">
            <Moment at={attempt.started_at} /> · {attempt.took_ms.toLocaleString(locale)} ms
          </Text>
        </Group>
      }
    >
      {attempt.failure !== undefined && <Text size="sm">{attempt.failure}</Text>}
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Stack gap={4}>
          <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
            {t('request')}: POST {attempt.request.url}
          </Text>
          <Headers headers={attempt.request.headers} />
        </Stack>
        {answer !== undefined && (
          <Stack gap={4}>
            <Text size="xs" c="dimmed">
              {t('answer')}: {answer.status}
            </Text>
            <Headers headers={answer.headers} />
            {answer.body !== '' && (
              <Code block tabIndex={0}>
                {answer.body}
              </Code>
            )}
          </Stack>
        )}
      </SimpleGrid>
    </Section>
  );
}

function Headers({ headers }: { headers: Readonly<Record<string, string>> }) {
  return (
    <Table fz="xs" verticalSpacing={2} layout="fixed">
      <Table.Tbody>
        {Object.entries(headers).map(([name, value]) => (
          <Table.Tr key={name}>
            <Table.Th fw={400} c="dimmed" w="38%" style={{ overflowWrap: 'anywhere' }}>
              {name}
            </Table.Th>
            <Table.Td ff="monospace" style={{ overflowWrap: 'anywhere' }}>
              {name === 'webhook-id' ? <IdLink id={value} short /> : value}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
