/** An approval policy: what needs a second person, and from which amount on. */
import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Pencil, Trash2 } from 'lucide-react';
import { useNavigate, useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useApprovalsWords } from './approvals-words.ts';
import { Above } from './policies.tsx';
import { PATH, PolicyDialog } from './policy-dialog.tsx';

export function Page() {
  return (
    <Permitted permission="approval_policies:read">
      <PolicyPage />
    </Permitted>
  );
}

function PolicyPage() {
  const t = useApprovalsWords();
  const navigate = useNavigate();
  const { action = '' } = useParams();
  const ids = { action };
  const found = useQuery({
    queryKey: ['approval-policy', action],
    queryFn: () => getTagged(PATH, { ids }),
    // Once it was removed there is none.
    retry: false,
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: policy, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={policy.action}
        id={policy.action}
        actions={
          <>
            <FormButton permission="approval_policies:edit" label={t('edit')} icon={<Pencil size={14} />}>
              {(close) => <PolicyDialog edited={{ policy, etag }} onClose={close} />}
            </FormButton>
            <ActButton
              permission="approval_policies:edit"
              icon={<Trash2 size={14} />}
              title={`${t('remove')}: ${policy.action}`}
              verb={t('remove')}
              consequence={t('remove_policy_consequence')}
              danger="undoable"
              run={() => act('delete', PATH, { ids, if_match: etag })}
              call={{ method: 'DELETE', path: PATH, ids }}
              onDone={() => void navigate('/approval-policies')}
            />
            <HistoryButton subject={policy.action} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Text size="sm">{t('policy_about', { action: policy.action })}</Text>
        <Facts
          facts={[
            [t('waits_above'), <Above key="a" above={policy.above} />],
            [t('expires_after'), t('hours', { count: Math.round(policy.expires_in_s / 360) / 10 })],
            [t('said_by'), <IdLink key="b" id={policy.updated_by} short />],
            [t('said_at'), <Moment key="m" at={policy.updated_at} />],
          ]}
        />
      </Section>
    </Stack>
  );
}
