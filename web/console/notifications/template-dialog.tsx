/** Writes the draft of a template, or edits one: its text, with the names that its topic fills in. */
import { Badge, Group, Select, Stack, Text, Textarea, TextInput, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type ActBody, act, type Done } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { channels } from './messages.tsx';
import { useNotificationWords } from './notification-words.ts';

const PATH = '/api/v2/notifications/templates';
type Template = BodyOf<'/api/v2/notifications/templates/{template_id}'>;
type Written = Done<typeof PATH, 'post'>;

export type Topic = ActBody<typeof PATH, 'post'>['topic'];
type Channel = (typeof channels)[number];
/** A topic more or less than the API has is no type of this. */
const known: Record<Topic, true> = {
  'limits.crossed': true,
  'limits.reached': true,
  'webhooks.disabled': true,
  'account.activity': true,
  security: true,
  announcement: true,
  'developers.invitation': true,
  'developers.sign_up': true,
  'developers.decision': true,
  digest: true,
};
const isTopic = (name: string): name is Topic => name in known;
export const topicNames: readonly Topic[] = Object.keys(known).filter(isTopic);

export function TopicAndChannel({
  topic,
  channel,
  onTopic,
  onChannel,
}: {
  topic: Topic;
  channel: Channel;
  onTopic: (topic: Topic) => void;
  onChannel: (channel: Channel) => void;
}) {
  const t = useNotificationWords();
  return (
    <>
      <Select
        label={t('topic')}
        data={topicNames}
        value={topic}
        allowDeselect={false}
        onChange={(value) => onTopic(topicNames.find((one) => one === value) ?? topic)}
        data-autofocus
      />
      <Select
        label={t('channel')}
        data={channels.map((value) => ({ value, label: t(`by_${value}`) }))}
        value={channel}
        allowDeselect={false}
        onChange={(value) => onChannel(channels.find((one) => one === value) ?? channel)}
      />
    </>
  );
}

export function TemplateDialog({
  edited,
  onClose,
  onDone,
}: {
  /** Another one is written if absent. */
  edited?: { template: Template; etag: string };
  onClose: () => void;
  onDone?: (template: Written) => void;
}) {
  const t = useNotificationWords();
  const topics = useQuery({
    queryKey: ['topics'],
    queryFn: () => get('/api/v2/notifications/topics'),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [chosenTopic, setTopic] = useState<Topic>('announcement');
  const [chosenChannel, setChannel] = useState<Channel>('email');
  const [typedLanguage, setLanguage] = useState('en');
  const [subject, setSubject] = useState(edited?.template.subject ?? '');
  const [text, setText] = useState(edited?.template.text ?? '');
  const [html, setHtml] = useState(edited?.template.html ?? '');
  if (topics.isError) return <Refused error={topics.error} retry={() => void topics.refetch()} />;
  if (topics.data === undefined) return <Loading />;

  const channel = edited?.template.channel ?? chosenChannel;
  const language = edited?.template.language ?? typedLanguage.trim();
  const isEmail = channel === 'email';
  const hasSubject = channel !== 'sms';
  const variables =
    topics.data.data.find(({ name }) => name === (edited?.template.topic ?? chosenTopic))?.variables ?? [];
  const written = {
    topic: chosenTopic,
    channel,
    language,
    ...(hasSubject && subject.trim() !== '' ? { subject: subject.trim() } : {}),
    text,
    ...(isEmail && html.trim() !== '' ? { html } : {}),
  };
  const changes = {
    subject: written.subject ?? null,
    text,
    html: written.html ?? null,
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="xl"
      title={t(edited === undefined ? 'write_template' : 'edit_template')}
      verb={t(edited === undefined ? 'write_template' : 'save')}
      consequence={t('draft_consequence')}
      isReady={language !== '' && text.trim() !== '' && (!isEmail || subject.trim() !== '')}
      run={(key) =>
        edited === undefined
          ? act('post', PATH, { key, body: written })
          : act('patch', `${PATH}/{template_id}`, {
              ids: { template_id: edited.template.id },
              key,
              body: changes,
              if_match: edited.etag,
            })
      }
      call={
        edited === undefined
          ? { method: 'POST', path: PATH, body: written, idempotent: true }
          : {
              method: 'PATCH',
              path: `${PATH}/{template_id}`,
              ids: { template_id: edited.template.id },
              body: changes,
            }
      }
      onDone={(template) => onDone?.(template)}
    >
      {edited === undefined && (
        <Group grow align="flex-end">
          <TopicAndChannel
            topic={chosenTopic}
            channel={chosenChannel}
            onTopic={setTopic}
            onChannel={setChannel}
          />
          <TextInput
            label={t('language')}
            required
            value={typedLanguage}
            onChange={(event) => setLanguage(event.currentTarget.value)}
          />
        </Group>
      )}
      <Stack gap={4}>
        <Text size="xs" c="dimmed">
          {t('variables_about')}
        </Text>
        <Group gap={6}>
          {variables.map(({ variable, meaning, optional }) => (
            <Tooltip
              key={variable}
              label={optional ? `${meaning} · ${t('may_be_absent')}` : meaning}
              multiline
              maw={320}
            >
              <Badge variant="light" color="gray" tt="none" ff="monospace" tabIndex={0}>
                {`{{ ${variable} }}`}
              </Badge>
            </Tooltip>
          ))}
        </Group>
      </Stack>
      {hasSubject && (
        <TextInput
          label={t('subject')}
          required={isEmail}
          value={subject}
          onChange={(event) => setSubject(event.currentTarget.value)}
        />
      )}
      <Textarea
        label={t('as_text')}
        required
        autosize
        minRows={4}
        maxRows={16}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {isEmail && (
        <Textarea
          label="HTML"
          description={t('html_about')}
          autosize
          minRows={4}
          maxRows={16}
          ff="monospace"
          value={html}
          onChange={(event) => setHtml(event.currentTarget.value)}
        />
      )}
    </ActDialog>
  );
}
