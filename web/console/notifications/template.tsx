import { Code, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Pencil, Send } from 'lucide-react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { get, getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { Content } from './content.tsx';
import { useNotificationWords } from './notification-words.ts';
import { NotificationState } from './states.tsx';
import { TemplateDialog } from './template-dialog.tsx';

const PATH = '/api/v2/notifications/templates/{template_id}';

export function Page() {
  return (
    <Permitted permission="notifications:read">
      <TemplatePage />
    </Permitted>
  );
}

function TemplatePage() {
  const t = useNotificationWords();
  const { template_id = '' } = useParams();
  const ids = { template_id };
  const found = useQuery({
    queryKey: ['template', template_id],
    queryFn: () => getTagged(PATH, { ids }),
  });
  const preview = useQuery({
    queryKey: ['template-preview', template_id],
    queryFn: () => get(`${PATH}/preview`, { ids }),
    retry: false,
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: template, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={`${template.topic} · ${t(`by_${template.channel}`)} · ${template.language}`}
        id={template.id}
        badge={<NotificationState state={template.status} />}
        actions={
          <>
            {template.status === 'draft' && (
              <FormButton permission="notifications:templates" label={t('edit')} icon={<Pencil size={14} />}>
                {(close) => <TemplateDialog edited={{ template, etag }} onClose={close} />}
              </FormButton>
            )}
            {template.status === 'draft' && (
              <ActButton
                permission="notifications:templates"
                icon={<Send size={14} />}
                title={t('publish')}
                verb={t('publish')}
                consequence={t('publish_consequence')}
                run={(key) => act('post', `${PATH}/publish`, { ids, key, if_match: etag })}
                call={{ method: 'POST', path: `${PATH}/publish`, ids }}
              />
            )}
            <HistoryButton subject={template.id} />
            <ApiCallButton
              calls={[
                { method: 'GET', path: PATH, ids },
                { method: 'GET', path: `${PATH}/preview`, ids },
              ]}
            />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('number'), template.number === undefined ? '–' : String(template.number)],
            [t('created'), <Moment key="c" at={template.created_at} />],
            [t('created_by'), <IdLink key="b" id={template.created_by} short />],
            [t('updated'), <Moment key="u" at={template.updated_at} />],
            [t('published'), <Moment key="p" at={template.published_at} />],
          ]}
        />
      </Section>
      <Section title={t('preview')}>
        <Text size="sm" c="dimmed">
          {t('preview_about')}
        </Text>
        {preview.isError ? (
          <Refused error={preview.error} />
        ) : preview.data === undefined ? (
          <Loading />
        ) : (
          <Content content={preview.data} />
        )}
      </Section>
      <Section title={t('as_written')}>
        {template.subject !== undefined && (
          <Code block tabIndex={0}>
            {template.subject}
          </Code>
        )}
        <Code block tabIndex={0}>
          {template.text}
        </Code>
        {template.html !== undefined && (
          <Code block tabIndex={0}>
            {template.html}
          </Code>
        )}
      </Section>
    </Stack>
  );
}
