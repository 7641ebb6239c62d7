import { Badge, Group } from '@mantine/core';
import { Moment, Money } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useApprovalsWords } from './approvals-words.ts';

const colors = {
  pending: 'orange',
  approved: 'blue',
  executed: 'teal',
  failed: 'red',
  rejected: 'red',
  cancelled: 'gray',
  expired: 'gray',
} as const;
const states = ['pending', 'approved', 'executed', 'failed', 'rejected', 'cancelled', 'expired'] as const;

export function ProposalStatus({ status }: { status: keyof typeof colors }) {
  const t = useApprovalsWords();
  return (
    <Badge size="sm" variant="light" color={colors[status]} miw="max-content">
      {t(status)}
    </Badge>
  );
}

export function Page() {
  const t = useApprovalsWords();
  return (
    <ListPage
      title={t('approvals')}
      about={t('about')}
      path="/api/v2/proposals"
      permission="proposals:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/approvals/${id}`}
      filters={[
        { name: 'awaiting_me', label: t('show'), choices: [{ value: 'true', label: t('awaiting_me') }] },
        { name: 'mine', label: t('proposed_by'), choices: [{ value: 'true', label: t('mine') }] },
        { name: 'status', label: t('status'), choices: states.map((value) => ({ value, label: t(value) })) },
      ]}
      columns={[
        { name: 'summary', title: t('summary'), value: ({ summary }) => summary },
        {
          name: 'amount',
          title: t('amount'),
          value: ({ amounts }) => amounts.map(({ amount, currency }) => `${amount} ${currency}`).join(' '),
          show: ({ amounts }) => (
            <Group gap={6} justify="flex-end">
              {amounts.map((amount) => (
                <Money key={`${amount.amount} ${amount.currency}`} value={amount} />
              ))}
            </Group>
          ),
          align: 'right',
        },
        {
          name: 'proposed_by',
          title: t('proposed_by'),
          value: ({ proposed_by }) => proposed_by.name,
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <ProposalStatus status={status} />,
        },
        {
          name: 'created_at',
          title: t('created'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'expires_at',
          title: t('expires'),
          value: ({ expires_at }) => expires_at,
          show: ({ expires_at }) => <Moment at={expires_at} />,
          wide: true,
        },
      ]}
    />
  );
}
