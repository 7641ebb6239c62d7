/** All that is known of a transfer in one order of time: what it came from, what came of it, and who was told. */
import { Alert, Anchor, Badge, Group, Stack, Text, Timeline } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { ApiProblem, type BodyOf, get } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { Moment, moneyText } from '../../ui/figures.tsx';
import { useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { useLedgerWords } from './ledger-words.ts';
import { amountOf } from './legs.ts';

type Transfer = BodyOf<'/api/v2/transfers/{transfer_id}'>;

/** Of each kind of thing beside it no more than this is looked up. */
const MOST = 25;

interface Happening {
  at: string;
  /** Order of what has one time. */
  rank: number;
  key: string;
  kind: 'money' | 'event' | 'delivery' | 'audit';
  title: ReactNode;
  more?: ReactNode;
  isThis?: boolean;
}

type Words = ReturnType<typeof useLedgerWords>;

/** What a part of the timeline needs, and what it comes to. */
interface Part {
  permission: string;
  find: () => Promise<Happening[]>;
}

const to = (path: string, text: string) => (
  <Anchor component={Link} to={path} size="sm">
    {text}
  </Anchor>
);

function posting(transfer: Transfer, t: Words, locale: string, isThis: boolean): Happening {
  const word = t(transfer.kind === 'transfer' ? 'posted_transfer' : `posted_${transfer.kind}`);
  const text = `${word}: ${moneyText(amountOf(transfer), locale)}`;
  return {
    at: transfer.created_at,
    rank: 1,
    key: transfer.id,
    kind: 'money',
    title: isThis ? text : to(`/transfers/${transfer.id}`, text),
    more: `${t('leg_count', { count: transfer.entries.length })}${transfer.description === undefined ? '' : ` · ${transfer.description}`}`,
    isThis,
  };
}

function partsOf(transfer: Transfer, t: Words, locale: string): Part[] {
  const transferOf = (transfer_id: string) =>
    get('/api/v2/transfers/{transfer_id}', { ids: { transfer_id } });
  const subjects = [transfer.id, ...(transfer.hold_id === undefined ? [] : [transfer.hold_id])];
  const eventsOf = async () =>
    (
      await Promise.all(
        subjects.map(
          async (subject) => (await get('/api/v2/events', { query: { subject, limit: MOST } })).data,
        ),
      )
    ).flat();
  return [
    {
      permission: 'transfers:read',
      find: async () => {
        const ids = [
          ...(transfer.reverses_id === undefined ? [] : [transfer.reverses_id]),
          ...transfer.reversed_by.slice(0, MOST),
        ];
        const others = await Promise.all(ids.map(transferOf));
        const query = { link_id: transfer.link_id ?? '', limit: MOST };
        const linked = transfer.link_id === undefined ? [] : (await get('/api/v2/transfers', { query })).data;
        return [...others, ...linked.filter(({ id }) => id !== transfer.id)].map((other) =>
          posting(other, t, locale, false),
        );
      },
    },
    ...(transfer.hold_id === undefined ? [] : [holdPart(transfer.hold_id, transfer.id, t, locale)]),
    {
      permission: 'events:read',
      find: async () =>
        (await eventsOf()).map((event) => ({
          at: event.time,
          rank: 2,
          key: event.id,
          kind: 'event' as const,
          title: to(`/events/${event.id}`, event.type),
        })),
    },
    {
      permission: 'webhooks:read',
      find: async () => {
        const found = await Promise.all(
          (await eventsOf()).map(({ id }) =>
            get('/api/v2/webhooks/deliveries', { query: { event_id: id, limit: MOST } }),
          ),
        );
        return found
          .flatMap(({ data }) => data)
          .map((delivery) => ({
            at: delivery.finished_at ?? delivery.created_at,
            rank: 3,
            key: delivery.id,
            kind: 'delivery' as const,
            title: to(
              `/webhook-deliveries/${delivery.id}`,
              t('delivery_of', { type: delivery.event_type, status: t(`delivery_${delivery.status}`) }),
            ),
            more: t('attempt_count', { count: delivery.attempts }),
          }));
      },
    },
    {
      permission: 'audit:read',
      find: async () => {
        const found = await Promise.all(
          subjects.map((subject) => get('/api/v2/audit', { query: { subject, limit: MOST } })),
        );
        return found
          .flatMap(({ data }) => data)
          .map((record) => ({
            at: record.occurred_at,
            rank: 0,
            key: record.id,
            kind: 'audit' as const,
            title: to(`/audit/${record.id}`, `${record.method} ${record.route ?? record.path}`),
            more: `${record.principal.name} · ${record.outcome}`,
          }));
      },
    },
  ];
}

function holdPart(hold_id: string, transfer_id: string, t: Words, locale: string): Part {
  return {
    permission: 'holds:read',
    find: async () => {
      const hold = await get('/api/v2/holds/{hold_id}', { ids: { hold_id } });
      return hold.steps
        .filter((step) => step.transfer_id !== transfer_id)
        .map((step) => ({
          at: step.created_at,
          rank: 1,
          key: step.id,
          kind: 'money' as const,
          title: to(
            step.transfer_id === undefined ? `/holds/${hold_id}` : `/transfers/${step.transfer_id}`,
            `${t('hold')}: ${t(step.kind)} ${moneyText(step.pending_change, locale)}`,
          ),
          ...(hold.description === undefined ? {} : { more: hold.description }),
        }));
    },
  };
}

const colors = { money: 'tide', event: 'grape', delivery: 'orange', audit: 'gray' } as const;

export function TransferTimeline({ transfer }: { transfer: Transfer }) {
  const t = useLedgerWords();
  const locale = useLocale();
  const may = useMay();
  const found = useQuery({
    queryKey: ['timeline', transfer.id, locale],
    queryFn: async () => {
      const parts = partsOf(transfer, t, locale);
      const missing: string[] = [];
      const happenings = await Promise.all(
        parts.map(async ({ permission, find }) => {
          // What one may not see is left out; where a grant reaches some labels only, the server says so.
          if (!may(permission) || (permission === 'webhooks:read' && !may('events:read'))) {
            missing.push(permission);
            return [];
          }
          return find().catch((error: unknown) => {
            if (!(error instanceof ApiProblem) || ![403, 404].includes(error.problem.status)) throw error;
            missing.push(permission);
            return [];
          });
        }),
      );
      const all = [posting(transfer, t, locale, true), ...happenings.flat()];
      return {
        missing,
        all: all.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at) || a.rank - b.rank),
      };
    },
  });
  return (
    <Section title={t('timeline')}>
      {found.isError ? (
        <Refused error={found.error} retry={() => void found.refetch()} />
      ) : found.data === undefined ? (
        <Loading />
      ) : (
        <Stack gap="sm">
          <Timeline bulletSize={14} lineWidth={2} active={-1}>
            {found.data.all.map(({ key, kind, at, title, more, isThis }) => (
              <Timeline.Item key={`${kind} ${key}`} color={colors[kind]}>
                <Group gap="xs">
                  <Badge size="sm" variant="light" color={colors[kind]} tt="none">
                    {t(`happening_${kind}`)}
                  </Badge>
                  <Text
                    size="sm"
                    span
                    {...(isThis === true ? { fw: 600 } : {})}
                    style={{ overflowWrap: 'anywhere' }}
                  >
                    {title}
                  </Text>
                </Group>
                <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                  <Moment at={at} />
                  {more === undefined ? '' : ' · '}
                  {more}
                </Text>
              </Timeline.Item>
            ))}
          </Timeline>
          {found.data.missing.length > 0 && (
            <Alert variant="light" color="gray">
              {t('timeline_missing', { permissions: [...new Set(found.data.missing)].join(', ') })}
            </Alert>
          )}
        </Stack>
      )}
    </Section>
  );
}
