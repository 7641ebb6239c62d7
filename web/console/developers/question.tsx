/** A question of a community: answered for the institution, or hidden with a reason. */
import { Badge, Group, Stack, Text, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { MessageSquare } from 'lucide-react';
import { useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { ReasonButton } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';

const PATH = '/api/v2/communities/{community_id}/questions/{question_id}';
const HIDE = `${PATH}/hide` as const;

export function Page() {
  return (
    <Permitted permission="communities:read">
      <QuestionPage />
    </Permitted>
  );
}

function QuestionPage() {
  const t = useDevelopersWords();
  const { community_id = '', question_id = '' } = useParams();
  const ids = { community_id, question_id };
  const found = useQuery({ queryKey: ['question', ids], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { id, title, text, by, organisation, created_at, hidden_reason, data: answers } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={title}
        id={id}
        badge={hidden_reason !== undefined && <Hidden />}
        actions={
          <>
            <FormButton
              permission="questions:answer"
              label={t('answer')}
              icon={<MessageSquare size={14} />}
              isPrimary
            >
              {(close) => <AnswerDialog ids={ids} onClose={close} />}
            </FormButton>
            {hidden_reason === undefined && (
              <ReasonButton
                permission="questions:moderate"
                verb={t('hide')}
                title={title}
                consequence={t('hide_question_consequence')}
                about={t('hide_reason_about')}
                danger={{ final: 'questions:moderate' }}
                run={(body) => act('post', HIDE, { ids, body })}
                call={(body) => ({ method: 'POST', path: HIDE, ids, body })}
              />
            )}
            <HistoryButton subject={id} />
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
            <Text component="div" size="xs" c="dimmed">
              {answer.by}, {answer.organisation ?? t('institution')} · <Moment at={answer.created_at} />{' '}
              <CopyId id={answer.id} short />
            </Text>
            <Group gap="xs">
              {answer.accepted && (
                <Badge size="sm" variant="light" color="teal">
                  {t('accepted')}
                </Badge>
              )}
              {answer.hidden_reason === undefined ? (
                <ReasonButton
                  permission="questions:moderate"
                  verb={t('hide_answer')}
                  title={answer.by}
                  consequence={t('hide_answer_consequence')}
                  about={t('hide_reason_about')}
                  danger={{ final: 'questions:moderate' }}
                  run={(body) => act('post', HIDE, { ids, body: { ...body, answer_id: answer.id } })}
                  call={(body) => ({
                    method: 'POST',
                    path: HIDE,
                    ids,
                    body: { ...body, answer_id: answer.id },
                  })}
                />
              ) : (
                <Hidden />
              )}
            </Group>
          </Group>
        </Section>
      ))}
    </Stack>
  );
}

function Hidden() {
  const t = useDevelopersWords();
  return (
    <Badge size="sm" variant="light" color="gray">
      {t('hidden')}
    </Badge>
  );
}

/** What somebody wrote, to the letter, and why the community does not see it. */
function Said({ text, hidden_reason }: { text: string | undefined; hidden_reason: string | undefined }) {
  const t = useDevelopersWords();
  return (
    <>
      <Text size="sm" maw={760} style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {text}
      </Text>
      {hidden_reason !== undefined && (
        <Text size="sm" c="dimmed">
          {t('hidden_because', { reason: hidden_reason })}
        </Text>
      )}
    </>
  );
}

function AnswerDialog({
  ids,
  onClose,
}: {
  ids: { community_id: string; question_id: string };
  onClose: () => void;
}) {
  const t = useDevelopersWords();
  const [text, setText] = useState('');
  const path = `${PATH}/answers` as const;
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
      run={(key) => act('post', path, { ids, key, body })}
      call={{ method: 'POST', path, ids, body, idempotent: true }}
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
