/** Events that consumers could not take: looked at, tried again, replayed. */
import { NumberInput, SegmentedControl, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { Repeat } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { RedriveButton } from './held-acts.tsx';
import { HeldState } from './held-state.tsx';
import { usePlatformWords } from './platform-words.ts';

const states = ['retrying', 'waiting', 'parked'] as const;

export function Page() {
  const t = usePlatformWords();
  return (
    <ListPage
      title={t('held_events')}
      about={t('held_events_about')}
      path="/api/v2/held-events"
      permission="held_events:read"
      keyOf={({ consumer, event_id }) => `${consumer} ${event_id}`}
      to={({ consumer, event_id }) => `/held-events/${consumer}/${event_id}`}
      empty={t('nothing_held')}
      actions={
        <FormButton permission="held_events:redrive" label={t('replay')} icon={<Repeat size={14} />}>
          {(close) => <ReplayDialog onClose={close} />}
        </FormButton>
      }
      filters={[
        { name: 'consumer', label: t('consumer') },
        {
          name: 'state',
          label: t('state'),
          choices: states.map((value) => ({ value, label: t(`held_${value}`) })),
        },
      ]}
      columns={[
        { name: 'consumer', title: t('consumer'), value: ({ consumer }) => consumer },
        { name: 'type', title: t('event_type'), value: ({ type }) => type, wide: true },
        {
          name: 'event',
          title: t('event'),
          value: ({ event_id }) => event_id,
          show: ({ event_id }) => <IdLink id={event_id} short />,
          wide: true,
        },
        {
          name: 'state',
          title: t('state'),
          value: ({ state }) => state,
          show: ({ state }) => <HeldState state={state} />,
        },
        {
          name: 'attempts',
          title: t('attempts'),
          value: ({ attempts }) => attempts,
          align: 'right',
          order: 'number',
          wide: true,
        },
        { name: 'reason', title: t('reason'), value: ({ reason }) => reason, wide: true },
        {
          name: 'held_at',
          title: t('held_since'),
          value: ({ held_at }) => held_at,
          show: ({ held_at }) => <Moment at={held_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => undefined,
          show: ({ consumer, event_id }) => <RedriveButton consumer={consumer} event_id={event_id} />,
        },
      ]}
    />
  );
}

/** Lets a consumer receive events again that it had. */
function ReplayDialog({ onClose }: { onClose: () => void }) {
  const t = usePlatformWords();
  const [consumer, setConsumer] = useState('');
  const [by, setBy] = useState<'time' | 'sequence'>('time');
  const [time, setTime] = useState('');
  const [from, setFrom] = useState<number | string>('');
  const [until, setUntil] = useState<number | string>('');
  const body =
    by === 'time'
      ? time === ''
        ? {}
        : { from_time: new Date(time).toISOString() }
      : {
          ...(from === '' ? {} : { from_sequence: Number(from) }),
          ...(until === '' ? {} : { until_sequence: Number(until) }),
        };
  const ids = { consumer: consumer.trim() };
  const path = '/api/v2/consumers/{consumer}/replay';
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('replay')}
      verb={t('replay')}
      consequence={t('replay_consequence')}
      danger={{ final: 'held_events:redrive' }}
      isReady={consumer.trim() !== '' && (by === 'time' ? time !== '' : from !== '')}
      run={(key) => act('post', path, { ids, key, body })}
      {...(consumer.trim() === '' ? {} : { call: { method: 'POST', path, ids, body, idempotent: true } })}
      onDone={({ id }) =>
        notifications.show({
          message: t('replay_begun', { id }),
          color: 'teal',
          closeButtonProps: { 'aria-label': t('close') },
        })
      }
    >
      <TextInput
        label={t('consumer')}
        description={t('consumer_about')}
        required
        value={consumer}
        onChange={(event) => setConsumer(event.currentTarget.value)}
        data-autofocus
      />
      <SegmentedControl
        aria-label={t('replay')}
        data={[
          { value: 'time', label: t('from_a_time') },
          { value: 'sequence', label: t('from_a_sequence') },
        ]}
        value={by}
        onChange={(value) => setBy(value === 'time' ? 'time' : 'sequence')}
      />
      {by === 'time' ? (
        <TextInput
          label={t('from_a_time')}
          type="datetime-local"
          required
          value={time}
          onChange={(event) => setTime(event.currentTarget.value)}
        />
      ) : (
        <>
          <NumberInput
            label={t('from_a_sequence')}
            required
            min={0}
            allowDecimal={false}
            value={from}
            onChange={setFrom}
          />
          <NumberInput
            label={t('until_sequence')}
            min={0}
            allowDecimal={false}
            value={until}
            onChange={setUntil}
          />
        </>
      )}
    </ActDialog>
  );
}
