import { Button, Code, Group, Stack, Text, Textarea } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment, Money } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted, useMay, useSelf } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { AccountLink } from '../ledger/account-link.tsx';
import { ProposalStatus } from './approvals.tsx';
import { useApprovalsWords } from './approvals-words.ts';

const ACCOUNT_IDS = /acc_[0-7][0-9a-hjkmnp-tv-z]{25}/g;

type Proposal = BodyOf<'/api/v2/proposals/{proposal_id}'>;

export function Page() {
  return (
    <Permitted permission="proposals:read">
      <ProposalPage />
    </Permitted>
  );
}

function ProposalPage() {
  const t = useApprovalsWords();
  const { principal } = useSelf();
  const may = useMay();
  const { proposal_id = '' } = useParams();
  const found = useQuery({
    queryKey: ['proposal', proposal_id],
    queryFn: () => get('/api/v2/proposals/{proposal_id}', { ids: { proposal_id } }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const proposal = found.data;
  const isOwn = [proposal.proposed_by.id, proposal.on_behalf_of?.id].includes(principal.id);
  const isPending = proposal.status === 'pending';
  /** Accounts that are named in what was asked: people know them by their names. */
  const accounts = [
    ...new Set(
      `${proposal.request.url} ${JSON.stringify(proposal.request.body ?? '')}`.match(ACCOUNT_IDS) ?? [],
    ),
  ];
  return (
    <Stack gap="sm">
      <ThingHead
        title={proposal.summary}
        id={proposal.id}
        badge={<ProposalStatus status={proposal.status} />}
        actions={
          <>
            {isPending && !isOwn && may('proposals:approve') && <Decide proposal={proposal} verb="approve" />}
            {isPending && !isOwn && may('proposals:approve') && <Decide proposal={proposal} verb="reject" />}
            {isPending && isOwn && may('proposals:cancel') && <Decide proposal={proposal} verb="cancel" />}
            <HistoryButton subject={proposal.id} />
            <ApiCallButton
              calls={[{ method: 'GET', path: '/api/v2/proposals/{proposal_id}', ids: { proposal_id } }]}
            />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [
              t('amount'),
              <Group key="a" gap="xs">
                {proposal.amounts.map((amount) => (
                  <Money key={`${amount.amount} ${amount.currency}`} value={amount} fw={600} />
                ))}
              </Group>,
            ],
            [t('proposed_by'), proposal.proposed_by.name],
            [t('created'), <Moment key="c" at={proposal.created_at} />],
            [t('expires'), <Moment key="e" at={proposal.expires_at} />],
            [t('policy'), proposal.policy],
            ...(proposal.decided_by === undefined
              ? []
              : [
                  [t('decided_by'), proposal.decided_by.name] as const,
                  [t('decided_at'), <Moment key="d" at={proposal.decided_at} />] as const,
                ]),
            ...(proposal.reason === undefined ? [] : [[t('reason'), proposal.reason] as const]),
          ]}
        />
        {proposal.reserved.length > 0 && (
          <Group gap="xs">
            <Text size="sm" c="dimmed">
              {t('reserved')}
            </Text>
            {proposal.reserved.map((id) => (
              <CopyId key={id} id={id} to={`/holds/${id}`} short />
            ))}
          </Group>
        )}
      </Section>
      <Section title={t('request')}>
        <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
          {proposal.request.method} {proposal.request.url}
        </Text>
        {accounts.length > 0 && (
          <Group gap="md">
            {accounts.map((id) => (
              <AccountLink key={id} id={id} />
            ))}
          </Group>
        )}
        {proposal.request.body !== undefined && (
          <Code block tabIndex={0}>
            {JSON.stringify(proposal.request.body, null, 2)}
          </Code>
        )}
      </Section>
      {proposal.result !== undefined && (
        <Section title={t('result')}>
          <Code block tabIndex={0}>
            {JSON.stringify(proposal.result.body ?? proposal.result.status, null, 2)}
          </Code>
        </Section>
      )}
    </Stack>
  );
}

function Decide({ proposal, verb }: { proposal: Proposal; verb: 'approve' | 'reject' | 'cancel' }) {
  const t = useApprovalsWords();
  const [opened, { open, close }] = useDisclosure(false);
  const [reason, setReason] = useState('');
  const ids = { proposal_id: proposal.id };
  const given = reason.trim();
  const body = verb === 'reject' || given !== '' ? { reason: given } : {};
  const path = `/api/v2/proposals/{proposal_id}/${verb}` as const;
  const run = () =>
    verb === 'approve'
      ? act('post', '/api/v2/proposals/{proposal_id}/approve', { ids, body })
      : verb === 'reject'
        ? act('post', '/api/v2/proposals/{proposal_id}/reject', { ids, body: { reason: given } })
        : act('post', '/api/v2/proposals/{proposal_id}/cancel', { ids });
  return (
    <>
      <Button onClick={open} {...(verb === 'approve' ? {} : { variant: 'default' })}>
        {t(verb)}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={proposal.summary}
        consequence={t(`${verb}_consequence`, { name: proposal.proposed_by.name })}
        verb={t(verb)}
        {...(verb === 'approve' ? {} : { danger: 'final' })}
        isReady={verb !== 'reject' || given !== ''}
        run={run}
        call={{ method: 'POST', path, ids, ...(verb === 'cancel' ? {} : { body }) }}
      >
        {verb !== 'cancel' && (
          <Textarea
            label={t('reason')}
            required={verb === 'reject'}
            autosize
            minRows={2}
            maxLength={1_000}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
        )}
      </ActDialog>
    </>
  );
}
