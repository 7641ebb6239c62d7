/** Which actions need a second person. */
import { Group, Text } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useSearchParams } from 'react-router';
import { FormButton } from '../../ui/act-button.tsx';
import { Moment, Money } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { useApprovalsWords } from './approvals-words.ts';
import { PolicyDialog } from './policy-dialog.tsx';

interface Threshold {
  amount: string;
  currency: string;
}

/** From which amounts on it waits. */
export function Above({ above }: { above: readonly Threshold[] | undefined }) {
  const t = useApprovalsWords();
  if (above === undefined) return <Text size="sm">{t('always')}</Text>;
  return (
    <Group gap={8}>
      {above.map((money) => (
        <Money key={money.currency} value={money} />
      ))}
    </Group>
  );
}

export function Page() {
  const t = useApprovalsWords();
  const [search, setSearch] = useSearchParams();
  const asked = search.get('ask');
  return (
    <>
      <ListPage
        title={t('policies')}
        about={t('policies_about')}
        path="/api/v2/approval-policies"
        permission="approval_policies:read"
        keyOf={({ action }) => action}
        to={({ action }) => `/approval-policies/${action}`}
        empty={t('no_policies')}
        actions={
          <FormButton
            permission="approval_policies:edit"
            label={t('make_policy')}
            icon={<Plus size={14} />}
            isPrimary
          >
            {(close) => <PolicyDialog onClose={close} />}
          </FormButton>
        }
        filters={[{ name: 'action', label: t('action'), isHere: true }]}
        columns={[
          { name: 'action', title: t('action'), value: ({ action }) => action },
          {
            name: 'above',
            title: t('waits_above'),
            value: ({ above }) => above?.map(({ amount, currency }) => `${amount} ${currency}`).join(' '),
            show: ({ above }) => <Above above={above} />,
          },
          {
            name: 'expires_in_s',
            title: t('expires_after'),
            value: ({ expires_in_s }) => expires_in_s,
            show: ({ expires_in_s }) => t('hours', { count: Math.round(expires_in_s / 360) / 10 }),
            order: 'number',
            wide: true,
          },
          {
            name: 'updated_by',
            title: t('said_by'),
            value: ({ updated_by }) => updated_by,
            show: ({ updated_by }) => <IdLink id={updated_by} short />,
            wide: true,
          },
          {
            name: 'updated_at',
            title: t('said_at'),
            value: ({ updated_at }) => updated_at,
            show: ({ updated_at }) => <Moment at={updated_at} />,
            wide: true,
          },
        ]}
      />
      {asked !== null && <PolicyDialog asked={asked} onClose={() => setSearch({}, { replace: true })} />}
    </>
  );
}
