/** A community of developers: what is announced to it, what it asks, whom staff invite, and its terms. */
import { Badge, Group, Stack, Tabs, Text, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Megaphone, Undo2 } from 'lucide-react';
import { useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { List } from '../../ui/list-page.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { CommunityBrand } from './brand.tsx';
import { EditCommunity } from './communities.tsx';
import { useDevelopersWords } from './developers-words.ts';
import { Invitations } from './invitations.tsx';

const PATH = '/api/v2/communities/{community_id}';
const tabs = ['announcements', 'questions', 'invitations', 'terms', 'brand'] as const;

export function Page() {
  return (
    <Permitted permission="communities:read">
      <CommunityPage />
    </Permitted>
  );
}

function CommunityPage() {
  const t = useDevelopersWords();
  const { community_id = '' } = useParams();
  const ids = { community_id };
  const [search, setSearch] = useSearchParams();
  const found = useQuery({ queryKey: ['community', community_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const community = found.data;
  const tab = tabs.find((name) => name === search.get('tab')) ?? 'announcements';
  return (
    <Stack gap="sm">
      <ThingHead
        title={community.name}
        id={community.id}
        actions={
          <>
            <EditCommunity community={community} />
            <HistoryButton subject={community.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Tabs
        value={tab}
        // What one list is filtered by is nothing to the next.
        onChange={(chosen) => setSearch(chosen === null || chosen === 'announcements' ? {} : { tab: chosen })}
        keepMounted={false}
      >
        <Tabs.List>
          {tabs.map((name) => (
            <Tabs.Tab key={name} value={name} px={{ base: 8, xs: 'md' }}>
              {t(name)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="announcements" pt="sm">
          <Announcements community_id={community.id} />
        </Tabs.Panel>
        <Tabs.Panel value="questions" pt="sm">
          <Questions community_id={community.id} />
        </Tabs.Panel>
        <Tabs.Panel value="invitations" pt="sm">
          <Invitations community_id={community.id} isClosed={community.sign_up === 'closed'} />
        </Tabs.Panel>
        <Tabs.Panel value="terms" pt="sm">
          <Section>
            <Facts
              facts={[
                [t('sign_up'), t(`sign_up_${community.sign_up}`)],
                [t('terms_version'), community.terms.version],
                [t('live_scopes'), community.live_scopes.join(', ') || '–'],
              ]}
            />
            <Text size="sm" maw={760} style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
              {community.terms.text}
            </Text>
          </Section>
        </Tabs.Panel>
        <Tabs.Panel value="brand" pt="sm">
          <CommunityBrand community={community} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function Announcements({ community_id }: { community_id: string }) {
  const t = useDevelopersWords();
  const path = `${PATH}/announcements` as const;
  const withdraw = `${PATH}/announcements/{announcement_id}/withdraw` as const;
  return (
    <List
      path={path}
      ids={{ community_id }}
      permission="communities:read"
      keyOf={({ id }) => id}
      empty={t('no_announcements')}
      actions={
        <FormButton
          permission="communities:edit"
          label={t('announce')}
          icon={<Megaphone size={14} />}
          isPrimary
        >
          {(close) => <AnnounceDialog community_id={community_id} onClose={close} />}
        </FormButton>
      }
      columns={[
        {
          name: 'title',
          title: t('title'),
          value: ({ title }) => title,
          show: ({ title, text }) => (
            <div style={{ maxWidth: 520 }}>
              {title}
              <Text size="xs" c="dimmed" lineClamp={3}>
                {text}
              </Text>
            </div>
          ),
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} short />,
          wide: true,
        },
        {
          name: 'created_at',
          title: t('announced'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: ({ withdrawn_at }) => withdrawn_at,
          show: ({ id, title, withdrawn_at }) => {
            const ids = { community_id, announcement_id: id };
            return (
              <Group gap={6} wrap="nowrap">
                {withdrawn_at === undefined ? (
                  <ActButton
                    permission="communities:edit"
                    icon={<Undo2 size={14} />}
                    title={`${t('withdraw')}: ${title}`}
                    verb={t('withdraw')}
                    consequence={t('withdraw_consequence')}
                    danger={{ final: 'communities:edit' }}
                    run={() => act('post', withdraw, { ids })}
                    call={{ method: 'POST', path: withdraw, ids }}
                  />
                ) : (
                  <Badge size="sm" variant="light" color="gray">
                    {t('withdrawn')}
                  </Badge>
                )}
                <HistoryButton subject={id} named={title} />
              </Group>
            );
          },
        },
      ]}
    />
  );
}

function AnnounceDialog({ community_id, onClose }: { community_id: string; onClose: () => void }) {
  const t = useDevelopersWords();
  const [title, setTitle] = useState('');
  const [text, setText] = useState('');
  const path = `${PATH}/announcements` as const;
  const ids = { community_id };
  const body = { title: title.trim(), text: text.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('announce')}
      verb={t('announce')}
      consequence={t('announce_consequence')}
      isReady={body.title !== '' && body.text !== ''}
      run={(key) => act('post', path, { ids, key, body })}
      call={{ method: 'POST', path, ids, body, idempotent: true }}
    >
      <TextInput
        label={t('title')}
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
        maxLength={10_000}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
    </ActDialog>
  );
}

function Questions({ community_id }: { community_id: string }) {
  const t = useDevelopersWords();
  return (
    <List
      path={`${PATH}/questions`}
      ids={{ community_id }}
      permission="communities:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/communities/${community_id}/questions/${id}`}
      empty={t('no_questions')}
      filters={[{ name: 'q', label: t('contains') }]}
      columns={[
        {
          name: 'title',
          title: t('title'),
          value: ({ title }) => title,
          show: ({ title, hidden_reason }) => (
            <>
              {title}{' '}
              {hidden_reason !== undefined && (
                <Badge size="xs" variant="light" color="gray">
                  {t('hidden')}
                </Badge>
              )}
            </>
          ),
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/communities/${community_id}/questions/${id}`} short />,
          wide: true,
        },
        {
          name: 'by',
          title: t('asked_by'),
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
          name: 'created_at',
          title: t('asked'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
      ]}
    />
  );
}
