import { Badge, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Pencil, Power } from 'lucide-react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section, ThingHead } from '../../ui/facts.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { PlanDialog } from './plan-dialog.tsx';
import { usePlatformWords } from './platform-words.ts';
import { WindowTable } from './tenant.tsx';

const PATH = '/api/v2/plans/{name}';

export function Page() {
  return (
    <Permitted permission="plans:read">
      <PlanPage />
    </Permitted>
  );
}

function PlanPage() {
  const t = usePlatformWords();
  const { plan: name = '' } = useParams();
  const ids = { name };
  const found = useQuery({ queryKey: ['plan', name], queryFn: () => getTagged(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: plan, etag } = found.data;
  const isActive = plan.status === 'active';
  const body = { status: isActive ? ('disabled' as const) : ('active' as const) };
  return (
    <Stack gap="sm">
      <ThingHead
        title={plan.name}
        id={plan.name}
        badge={
          <>
            <Badge size="sm" variant="light" color={isActive ? 'teal' : 'gray'}>
              {t(`plan_${plan.status}`)}
            </Badge>
            {plan.built_in && (
              <Badge size="sm" variant="default">
                {t('built_in')}
              </Badge>
            )}
          </>
        }
        actions={
          <>
            {!plan.built_in && (
              <>
                <FormButton permission="plans:edit" label={t('edit')} icon={<Pencil size={14} />}>
                  {(close) => <PlanDialog edited={{ plan, etag }} onClose={close} />}
                </FormButton>
                <ActButton
                  permission="plans:edit"
                  icon={<Power size={14} />}
                  title={`${t(isActive ? 'disable' : 'enable')}: ${plan.name}`}
                  verb={t(isActive ? 'disable' : 'enable')}
                  consequence={t(isActive ? 'disable_plan_consequence' : 'enable_plan_consequence')}
                  {...(isActive ? { danger: 'undoable' } : {})}
                  run={(key) => act('patch', PATH, { ids, key, body, if_match: etag })}
                  call={{ method: 'PATCH', path: PATH, ids, body }}
                />
              </>
            )}
            <HistoryButton subject={plan.name} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        {plan.description !== '' && <Text size="sm">{plan.description}</Text>}
        <WindowTable windows={plan.windows} />
      </Section>
    </Stack>
  );
}
