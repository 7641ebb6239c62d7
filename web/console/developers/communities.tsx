/** Communities of developers: made and edited. */
import { Anchor, Checkbox, Select, Textarea, TextInput } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { RowOf } from '../../api/lists.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { useDevelopersWords } from './developers-words.ts';

const PATH = '/api/v2/communities';
const ONE = '/api/v2/communities/{community_id}';
const signUps = ['open', 'approval', 'invitation', 'closed'] as const;
const factors = ['before_live', 'at_sign_up'] as const;
type Community = RowOf<typeof PATH>;

export function Page() {
  const t = useDevelopersWords();
  return (
    <ListPage
      title={t('communities')}
      about={t('communities_about')}
      path={PATH}
      permission="communities:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/communities/${id}`}
      actions={
        <FormButton permission="communities:edit" label={t('create')} icon={<Plus size={14} />} isPrimary>
          {(close) => <CommunityDialog onClose={close} />}
        </FormButton>
      }
      filters={[
        {
          name: 'sign_up',
          label: t('sign_up'),
          choices: signUps.map((value) => ({ value, label: t(`sign_up_${value}`) })),
        },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        {
          name: 'slug',
          title: t('slug'),
          value: ({ slug }) => slug,
          show: ({ slug }) => (
            <Anchor href={`/portal/${slug}`} size="sm" aria-label={`${t('portal')}: ${slug}`}>
              /portal/{slug}
            </Anchor>
          ),
        },
        {
          name: 'sign_up',
          title: t('sign_up'),
          value: ({ sign_up }) => sign_up,
          show: ({ sign_up }) => t(`sign_up_${sign_up}`),
          wide: true,
        },
        {
          name: 'live_scopes',
          title: t('live_scopes'),
          value: ({ live_scopes }) => live_scopes.join(' '),
          wide: true,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/communities/${id}`} short />,
          wide: true,
        },
        {
          name: 'created_at',
          title: t('created'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => '',
          show: (community) => <EditCommunity community={community} />,
        },
      ]}
    />
  );
}

export function EditCommunity({ community }: { community: Community }) {
  const t = useDevelopersWords();
  return (
    <FormButton permission="communities:edit" label={t('edit')}>
      {(close) => <CommunityDialog edited={community} onClose={close} />}
    </FormButton>
  );
}

function CommunityDialog({ edited, onClose }: { edited?: Community; onClose: () => void }) {
  const t = useDevelopersWords();
  const [slug, setSlug] = useState('');
  const [name, setName] = useState(edited?.name ?? '');
  const [description, setDescription] = useState(edited?.description ?? '');
  const [sign_up, setSignUp] = useState<(typeof signUps)[number]>(edited?.sign_up ?? 'approval');
  const [version, setVersion] = useState(edited?.terms.version ?? '');
  const [text, setText] = useState(edited?.terms.text ?? '');
  const [scopes, setScopes] = useState(edited?.live_scopes.join(' ') ?? '');
  const [second_factor, setFactor] = useState(edited?.second_factor ?? 'before_live');
  const [listed, setListed] = useState(edited?.listed ?? true);
  const settings = {
    name: name.trim(),
    description: description.trim(),
    sign_up,
    terms: { version: version.trim(), text },
    live_scopes: scopes.split(/\s+/).filter((scope) => scope !== ''),
    listed,
    second_factor,
  };
  const made = { slug: slug.trim(), ...settings };
  const ids = { community_id: edited?.id ?? '' };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={edited === undefined ? t('create') : `${t('edit')}: ${edited.name}`}
      verb={t(edited === undefined ? 'create' : 'save')}
      consequence={t(edited === undefined ? 'create_consequence' : 'edit_consequence')}
      isReady={
        settings.name !== '' &&
        settings.terms.version !== '' &&
        text.trim() !== '' &&
        (edited !== undefined || made.slug !== '')
      }
      run={async (key): Promise<Awaited<ReturnType<typeof create>>> =>
        edited === undefined ? create(key) : edit()
      }
      call={
        edited === undefined
          ? { method: 'POST', path: PATH, body: made, idempotent: true }
          : { method: 'PATCH', path: ONE, ids, body: settings }
      }
    >
      {edited === undefined && (
        <TextInput
          label={t('slug')}
          description={t('slug_about')}
          required
          maxLength={63}
          value={slug}
          onChange={(event) => setSlug(event.currentTarget.value)}
          data-autofocus
        />
      )}
      <TextInput
        label={t('name')}
        required
        maxLength={255}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <Textarea
        label={t('description')}
        autosize
        maxLength={2_000}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
      <Select
        label={t('sign_up')}
        data={signUps.map((value) => ({ value, label: t(`sign_up_${value}`) }))}
        value={sign_up}
        allowDeselect={false}
        onChange={(value) => setSignUp(signUps.find((one) => one === value) ?? 'closed')}
      />
      <Select
        label={t('second_factor')}
        description={t('second_factor_about')}
        data={factors.map((value) => ({ value, label: t(`factor_${value}`) }))}
        value={second_factor}
        allowDeselect={false}
        onChange={(value) => setFactor(factors.find((one) => one === value) ?? second_factor)}
      />
      <TextInput
        label={t('terms_version')}
        description={t('new_terms')}
        required
        maxLength={64}
        value={version}
        onChange={(event) => setVersion(event.currentTarget.value)}
      />
      <Textarea
        label={t('terms')}
        required
        autosize
        minRows={3}
        maxRows={12}
        maxLength={100_000}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <TextInput
        label={t('live_scopes')}
        description={t('live_scopes_about')}
        value={scopes}
        onChange={(event) => setScopes(event.currentTarget.value)}
      />
      <Checkbox
        label={t('listed')}
        checked={listed}
        onChange={(event) => setListed(event.currentTarget.checked)}
      />
    </ActDialog>
  );

  function create(key: string) {
    return act('post', PATH, { key, body: made });
  }
  function edit() {
    return act('patch', ONE, { ids, body: settings, if_match: '*' });
  }
}
