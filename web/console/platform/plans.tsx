import { Badge, Group } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useNavigate } from 'react-router';
import { FormButton } from '../../ui/act-button.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useLocale } from '../../ui/words.ts';
import { PlanDialog } from './plan-dialog.tsx';
import { usePlatformWords } from './platform-words.ts';

const states = ['active', 'disabled'] as const;

export function Page() {
  const t = usePlatformWords();
  const locale = useLocale();
  const navigate = useNavigate();
  return (
    <ListPage
      title={t('plans')}
      about={t('plans_about')}
      path="/api/v2/plans"
      permission="plans:read"
      keyOf={({ name }) => name}
      to={({ name }) => `/plans/${name}`}
      actions={
        <FormButton permission="plans:edit" label={t('create_plan')} icon={<Plus size={14} />} isPrimary>
          {(close) => <PlanDialog onClose={close} onDone={(name) => void navigate(`/plans/${name}`)} />}
        </FormButton>
      }
      filters={[
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`plan_${value}`) })),
        },
      ]}
      columns={[
        {
          name: 'name',
          title: t('name'),
          value: ({ name }) => name,
          show: ({ name, built_in }) => (
            <Group gap={6}>
              {name}
              {built_in && (
                <Badge size="xs" variant="default">
                  {t('built_in')}
                </Badge>
              )}
            </Group>
          ),
        },
        { name: 'description', title: t('description'), value: ({ description }) => description, wide: true },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => (
            <Badge size="sm" variant="light" color={status === 'active' ? 'teal' : 'gray'}>
              {t(`plan_${status}`)}
            </Badge>
          ),
        },
        {
          name: 'windows',
          title: t('limits'),
          value: ({ windows }) => windows.map(({ name, requests }) => `${name} ${requests}`).join(', '),
          show: ({ windows }) =>
            windows.map(({ name, requests }) => `${name}: ${requests.toLocaleString(locale)}`).join(' · '),
          wide: true,
        },
        {
          name: 'updated_at',
          title: t('updated'),
          value: ({ updated_at }) => updated_at,
          show: ({ updated_at }) => <Moment at={updated_at} />,
          wide: true,
        },
      ]}
    />
  );
}
