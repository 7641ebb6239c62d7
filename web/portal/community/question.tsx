/** A question with its answers. */
import { Badge, Group, Stack, Text, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Check, MessageSquare } from 'lucide-react';
import { useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useCommunityWords } from './community-words.ts';

const PATH = '/api/v2/portal/questions/{question_id}';

export function Page() {
  return (
    <Permitted permission="portal:read">
      <QuestionPage />
    </Permitted>
  );
}

function QuestionPage() {
  const t = useCommunityWords();
  const { question_id = '' } = useParams();
  const ids = { question_id };
  const found = useQuery({ queryKey: ['question', question_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { id, title, text, by, organisation, own, created_at, hidden_reason, data: answers } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={title}
        id={id}
        actions={
          <>
            <FormButton
              permission="portal:ask"
              label={t('answer')}
              icon={<MessageSquare size={14} />}
              isPrimary
            >
              {(close) => <AnswerDialog ids={ids} onClose={close} />}
            </FormButton>
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Said text={text} hidden_reason={hidden_reason} />
        <Text size="xs" c="dimmed">
          {by}, {organisation} · <Moment at={created_at} />
        </Text>
      </Section>
      {answers.length === 0 && <Empty>{t('no_answers')}</Empty>}
      {answers.map((answer) => (
        <Section key={answer.id}>
          <Said text={answer.text} hidden_reason={answer.hidden_reason} />
          <Group justify="space-between">
            <Text size="xs" c="dimmed">
              {answer.by}, {answer.organisation ?? t('institution')} · <Moment at={answer.created_at} />
            </Text>
            {answer.accepted ? (
              <Badge size="sm" variant="light" color="teal">
                {t('accepted')}
              </Badge>
            ) : (
              own &&
              answer.text !== undefined && (
                <ActButton
                  permission="portal:ask"
                  icon={<Check size={14} />}
                  title={t('accept')}
                  verb={t('accept')}
                  consequence={t('accept_consequence')}
                  run={(key) => act('post', `${PATH}/accept`, { ids, key, body: { answer_id: answer.id } })}
                  call={{ method: 'POST', path: `${PATH}/accept`, ids, body: { answer_id: answer.id } }}
                />
              )
            )}
          </Group>
        </Section>
      ))}
    </Stack>
  );
}

/** What somebody wrote, to the letter; why it is not there where it was hidden. */
function Said({ text, hidden_reason }: { text: string | undefined; hidden_reason: string | undefined }) {
  const t = useCommunityWords();
  return text === undefined ? (
    <Text size="sm" c="dimmed">
      {t('hidden', { reason: hidden_reason ?? '–' })}
    </Text>
  ) : (
    <Text size="sm" maw={760} style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
      {text}
    </Text>
  );
}

function AnswerDialog({ ids, onClose }: { ids: { question_id: string }; onClose: () => void }) {
  const t = useCommunityWords();
  const [text, setText] = useState('');
  const body = { text: text.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('answer')}
      verb={t('answer')}
      consequence={t('answer_consequence')}
      isReady={body.text !== ''}
      run={(key) => act('post', `${PATH}/answers`, { ids, key, body })}
      call={{ method: 'POST', path: `${PATH}/answers`, ids, body, idempotent: true }}
    >
      <Textarea
        label={t('your_answer')}
        required
        autosize
        minRows={5}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}
