/** What developers of the community ask. */
import { Textarea, TextInput } from '@mantine/core';
import { CircleQuestionMark } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { act } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useCommunityWords } from './community-words.ts';

export function Page() {
  const t = useCommunityWords();
  return (
    <ListPage
      title={t('questions')}
      about={t('questions_about')}
      path="/api/v2/portal/questions"
      permission="portal:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/questions/${id}`}
      empty={t('no_questions')}
      actions={
        <FormButton
          permission="portal:ask"
          label={t('ask')}
          icon={<CircleQuestionMark size={14} />}
          isPrimary
        >
          {(close) => <AskDialog onClose={close} />}
        </FormButton>
      }
      filters={[
        { name: 'q', label: t('q') },
        { name: 'own', label: t('own'), choices: [{ value: 'true', label: t('of_us') }] },
      ]}
      columns={[
        { name: 'title', title: t('title'), value: ({ title }) => title },
        {
          name: 'by',
          title: t('by'),
          value: ({ by, organisation }) => `${by}, ${organisation}`,
          wide: true,
        },
        {
          name: 'answers',
          title: t('answers'),
          value: ({ answers }) => answers,
          align: 'right',
          order: 'number',
        },
        {
          name: 'answered',
          title: t('answered'),
          value: ({ answered }) => String(answered),
          show: ({ answered }) => t(answered ? 'yes' : 'no'),
          wide: true,
        },
        {
          name: 'created_at',
          title: t('asked_at'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
      ]}
    />
  );
}

function AskDialog({ onClose }: { onClose: () => void }) {
  const t = useCommunityWords();
  const navigate = useNavigate();
  const [title, setTitle] = useState('');
  const [text, setText] = useState('');
  const body = { title: title.trim(), text: text.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('ask')}
      verb={t('ask')}
      consequence={t('ask_consequence')}
      isReady={body.title !== '' && body.text !== ''}
      run={(key) => act('post', '/api/v2/portal/questions', { key, body })}
      call={{ method: 'POST', path: '/api/v2/portal/questions', body, idempotent: true }}
      onDone={({ id }) => void navigate(`/questions/${id}`)}
    >
      <TextInput
        label={t('in_short')}
        required
        maxLength={200}
        value={title}
        onChange={(event) => setTitle(event.currentTarget.value)}
        data-autofocus
      />
      <Textarea
        label={t('text')}
        required
        autosize
        minRows={5}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
    </ActDialog>
  );
}
