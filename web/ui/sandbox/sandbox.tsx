/** Tools of the sandbox: its clock, and emptying it. */
import { Group, NumberInput, SegmentedControl, Select, Stack, Text, TextInput, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { Eraser, FastForward, Sprout } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { Facts, Section } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { Permitted, useMay, useSelf } from '../self.tsx';
import { Loading, Refused } from '../states.tsx';
import { useLocale } from '../words.ts';
import { useSandboxWords } from './sandbox-words.ts';

export function Page() {
  return <SandboxPage />;
}

/** @param props.more other tools, shown after these */
export function SandboxPage({ more }: { more?: ReactNode }) {
  const t = useSandboxWords();
  const { environment } = useSelf();
  return (
    <Stack gap="sm">
      <title>{`${t('sandbox_tools')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('sandbox_tools')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('sandbox_about')}
      </Text>
      {environment === 'live' ? (
        <Text size="sm">{t('not_in_live')}</Text>
      ) : (
        <Permitted permission="sandbox:read">
          <SampleData />
          <Clock />
          <Reset />
          {more}
        </Permitted>
      )}
    </Stack>
  );
}

function Clock() {
  const t = useSandboxWords();
  const locale = useLocale();
  const clock = useQuery({ queryKey: ['sandbox-clock'], queryFn: () => get('/api/v2/sandbox/clock') });
  return (
    <Section
      title={t('clock')}
      aside={
        <Group gap={6}>
          <FormButton
            permission="sandbox:advance_clock"
            label={t('advance')}
            icon={<FastForward size={14} />}
          >
            {(close) => <AdvanceDialog onClose={close} />}
          </FormButton>
          <ApiCallButton calls={[{ method: 'GET', path: '/api/v2/sandbox/clock' }]} />
        </Group>
      }
    >
      {clock.isError ? (
        <Refused error={clock.error} retry={() => void clock.refetch()} />
      ) : clock.data === undefined ? (
        <Loading />
      ) : (
        <Facts
          facts={[
            [t('sandbox_now'), <Moment key="n" at={clock.data.now} />],
            [
              t('ahead'),
              clock.data.offset_s === 0
                ? t('not_ahead')
                : t('seconds_ahead', { text: clock.data.offset_s.toLocaleString(locale) }),
            ],
          ]}
        />
      )}
    </Section>
  );
}

const units = { minutes: 60, hours: 3_600, days: 86_400 } as const;
const unitNames = ['minutes', 'hours', 'days'] as const;

function AdvanceDialog({ onClose }: { onClose: () => void }) {
  const t = useSandboxWords();
  const [count, setCount] = useState<number | string>(1);
  const [unit, setUnit] = useState<keyof typeof units>('days');
  const body = { seconds: Number(count) * units[unit] };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('advance')}
      verb={t('advance')}
      consequence={t('advance_consequence')}
      danger={{ final: 'sandbox:advance_clock' }}
      isReady={Number(count) >= 1}
      run={(key) => act('post', '/api/v2/sandbox/clock/advance', { key, body })}
      call={{ method: 'POST', path: '/api/v2/sandbox/clock/advance', body, idempotent: true }}
    >
      <Group grow align="flex-end">
        <NumberInput
          label={t('by_how_much')}
          min={1}
          allowDecimal={false}
          value={count}
          onChange={setCount}
          data-autofocus
        />
        <SegmentedControl
          aria-label={t('by_how_much')}
          data={unitNames.map((value) => ({ value, label: t(value) }))}
          value={unit}
          onChange={(value) => setUnit(unitNames.find((name) => name === value) ?? unit)}
        />
      </Group>
    </ActDialog>
  );
}

/** Shown to whoever has nothing yet to try things with. */
function SampleData() {
  const t = useSandboxWords();
  const may = useMay();
  const mayFill = may('sandbox:reset') && may('accounts:read');
  const accounts = useQuery({
    queryKey: ['/api/v2/accounts', 'any'],
    enabled: mayFill,
    queryFn: () => get('/api/v2/accounts', { query: { limit: 1 } }),
  });
  if (accounts.data === undefined || accounts.data.data.length > 0) return null;
  const body = { seed: 'demo' };
  return (
    <Section
      title={t('sample')}
      aside={
        <FormButton permission="sandbox:reset" label={t('fill')} icon={<Sprout size={14} />} isPrimary>
          {(close) => (
            <ActDialog
              opened
              onClose={close}
              title={t('fill')}
              verb={t('fill')}
              consequence={t('fill_consequence')}
              run={(key) => act('post', '/api/v2/sandbox/reset', { key, body })}
              call={{ method: 'POST', path: '/api/v2/sandbox/reset', body, idempotent: true }}
            />
          )}
        </FormButton>
      }
    >
      <Text size="sm">{t('sample_about')}</Text>
    </Section>
  );
}

function Reset() {
  const t = useSandboxWords();
  return (
    <Section
      title={t('reset')}
      aside={
        <FormButton permission="sandbox:reset" label={t('reset')} icon={<Eraser size={14} />}>
          {(close) => <ResetDialog onClose={close} />}
        </FormButton>
      }
    >
      <Text size="sm">{t('reset_about')}</Text>
    </Section>
  );
}

function ResetDialog({ onClose }: { onClose: () => void }) {
  const t = useSandboxWords();
  const { tenant } = useSelf();
  const [typed, setTyped] = useState('');
  const [seed, setSeed] = useState<string | null>('demo');
  const body = seed === null ? {} : { seed };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('reset')}
      verb={t('reset')}
      consequence={t('reset_consequence')}
      danger={{ final: 'sandbox:reset' }}
      isReady={typed.trim() === tenant.name}
      run={(key) => act('post', '/api/v2/sandbox/reset', { key, body })}
      call={{ method: 'POST', path: '/api/v2/sandbox/reset', body, idempotent: true }}
      onDone={({ rows_erased }) =>
        notifications.show({
          message: t('erased', { count: rows_erased }),
          color: 'teal',
          closeButtonProps: { 'aria-label': t('close') },
        })
      }
    >
      <Select
        label={t('seed')}
        description={t('seed_about')}
        clearable
        placeholder={t('none')}
        data={['demo']}
        value={seed}
        onChange={setSeed}
      />
      <TextInput
        label={t('type_name', { name: tenant.name })}
        required
        autoComplete="off"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
