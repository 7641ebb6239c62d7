/** What messages are made by: the institution's own templates, and what each topic says now. */
import { Group, Modal, Select, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Eye, Plus } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { get } from '../../api/client.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { Content } from './content.tsx';
import { channels } from './messages.tsx';
import { useNotificationWords } from './notification-words.ts';
import { NotificationState } from './states.tsx';
import { TemplateDialog, type Topic, TopicAndChannel, topicNames } from './template-dialog.tsx';

const states = ['draft', 'published'] as const;

export function Page() {
  const t = useNotificationWords();
  const navigate = useNavigate();
  return (
    <ListPage
      title={t('templates')}
      about={t('templates_about')}
      path="/api/v2/notifications/templates"
      permission="notifications:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/templates/${id}`}
      empty={t('no_templates')}
      actions={
        <>
          <FormButton permission="notifications:read" label={t('preview')} icon={<Eye size={14} />}>
            {(close) => <PreviewDialog onClose={close} />}
          </FormButton>
          <FormButton
            permission="notifications:templates"
            label={t('write_template')}
            icon={<Plus size={14} />}
            isPrimary
          >
            {(close) => (
              <TemplateDialog onClose={close} onDone={({ id }) => void navigate(`/templates/${id}`)} />
            )}
          </FormButton>
        </>
      }
      filters={[
        {
          name: 'topic',
          label: t('topic'),
          choices: topicNames.map((value) => ({ value, label: value })),
        },
        {
          name: 'channel',
          label: t('channel'),
          choices: channels.map((value) => ({ value, label: t(`by_${value}`) })),
        },
        { name: 'language', label: t('language') },
        {
          name: 'status',
          label: t('state'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
      ]}
      columns={[
        { name: 'topic', title: t('topic'), value: ({ topic }) => topic },
        {
          name: 'channel',
          title: t('channel'),
          value: ({ channel }) => channel,
          show: ({ channel }) => t(`by_${channel}`),
        },
        { name: 'language', title: t('language'), value: ({ language }) => language, wide: true },
        {
          name: 'status',
          title: t('state'),
          value: ({ status }) => status,
          show: ({ status }) => <NotificationState state={status} />,
        },
        {
          name: 'number',
          title: t('number'),
          value: ({ number }) => number,
          align: 'right',
          order: 'number',
          wide: true,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/templates/${id}`} short />,
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

/** What a message of a topic says now, with sample data. */
function PreviewDialog({ onClose }: { onClose: () => void }) {
  const t = useNotificationWords();
  const [topic, setTopic] = useState<Topic>('announcement');
  const [channel, setChannel] = useState<(typeof channels)[number]>('email');
  const [language, setLanguage] = useState('en');
  const preview = useQuery({
    queryKey: ['notification-preview', topic, channel, language],
    queryFn: () => get('/api/v2/notifications/preview', { query: { topic, channel, language } }),
    retry: false,
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('preview')}
      size="lg"
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Stack gap="sm">
        <Group grow align="flex-end">
          <TopicAndChannel topic={topic} channel={channel} onTopic={setTopic} onChannel={setChannel} />
          <Select
            label={t('language')}
            data={['en', 'pt-BR']}
            value={language}
            allowDeselect={false}
            onChange={(value) => setLanguage(value ?? language)}
          />
        </Group>
        {preview.isError ? (
          <Refused error={preview.error} />
        ) : preview.data === undefined ? (
          <Loading />
        ) : (
          <Content content={preview.data} />
        )}
      </Stack>
    </Modal>
  );
}
