/** Whom staff asked into a community, and asking somebody. */
import { Badge, Group, Select, Text, TextInput } from '@mantine/core';
import { Mail, UserPlus, X } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { RowOf } from '../../api/lists.ts';
import { ActMenu, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { List } from '../../ui/list-page.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { languageNames, languages, useLanguage } from '../../ui/words.ts';
import { useDevelopersWords } from './developers-words.ts';

const PATH = '/api/v2/communities/{community_id}/invitations';
const RESEND = `${PATH}/{community_invitation_id}/resend` as const;
const WITHDRAW = `${PATH}/{community_invitation_id}/withdraw` as const;
type Invitation = RowOf<typeof PATH>;

const colors = { pending: 'blue', accepted: 'teal', expired: 'gray', withdrawn: 'red' } as const;
const states = ['pending', 'accepted', 'expired', 'withdrawn'] as const;

export function Invitations({ community_id, isClosed }: { community_id: string; isClosed: boolean }) {
  const t = useDevelopersWords();
  return (
    <Permitted permission="organisations:read">
      {isClosed && <Text size="sm">{t('closed_invites_nobody')}</Text>}
      <List
        path={PATH}
        ids={{ community_id }}
        permission="organisations:read"
        keyOf={({ id }) => id}
        empty={t('no_invitations')}
        {...(isClosed
          ? {}
          : {
              actions: (
                <FormButton
                  permission="organisations:decide"
                  label={t('invite')}
                  icon={<UserPlus size={14} />}
                  isPrimary
                >
                  {(close) => <InviteDialog community_id={community_id} onClose={close} />}
                </FormButton>
              ),
            })}
        filters={[
          {
            name: 'status',
            label: t('status'),
            choices: states.map((value) => ({ value, label: t(`invitation_${value}`) })),
          },
        ]}
        columns={[
          {
            name: 'email',
            title: t('email'),
            value: ({ email }) => email,
            show: ({ email, name }) => (
              <div style={{ overflowWrap: 'anywhere' }}>
                <Address email={email} />
                {name !== undefined && (
                  <Text size="xs" c="dimmed">
                    {name}
                  </Text>
                )}
              </div>
            ),
          },
          {
            name: 'organisation',
            title: t('organisation'),
            value: ({ organisation_name, organisation_id }) => organisation_id ?? organisation_name,
            show: ({ organisation_name, organisation_id }) => (
              <>
                {organisation_name}
                {organisation_id !== undefined && <IdLink id={organisation_id} short />}
              </>
            ),
            wide: true,
          },
          {
            name: 'status',
            title: t('status'),
            value: ({ status }) => status,
            show: (invitation) => <Standing invitation={invitation} />,
          },
          {
            name: 'created_at',
            title: t('invited'),
            value: ({ created_at }) => created_at,
            show: ({ created_at }) => <Moment at={created_at} />,
            wide: true,
          },
          {
            name: 'expires_at',
            title: t('good_until'),
            value: ({ expires_at }) => expires_at,
            show: ({ expires_at }) => <Moment at={expires_at} />,
            wide: true,
          },
          {
            name: 'id',
            title: t('id'),
            value: ({ id }) => id,
            show: ({ id }) => <CopyId id={id} short />,
            wide: true,
          },
          {
            name: 'acts',
            title: t('acts'),
            value: () => '',
            show: (invitation) => <Acts invitation={invitation} isClosed={isClosed} />,
          },
        ]}
      />
    </Permitted>
  );
}

/** An address, which is broken at its sign first where there is little room. */
function Address({ email }: { email: string }) {
  const at = email.indexOf('@') + 1;
  return (
    <>
      {email.slice(0, at)}
      <wbr />
      {email.slice(at)}
    </>
  );
}

/** How an invitation stands; a pending one whose mail did not go out says so. */
function Standing({ invitation: { status, mailed_at } }: { invitation: Invitation }) {
  const t = useDevelopersWords();
  const isUnsent = status === 'pending' && mailed_at === undefined;
  return (
    <Badge size="sm" variant="light" color={isUnsent ? 'orange' : colors[status]} miw="max-content">
      {t(isUnsent ? 'invitation_not_mailed' : `invitation_${status}`)}
    </Badge>
  );
}

function Acts({ invitation, isClosed }: { invitation: Invitation; isClosed: boolean }) {
  const t = useDevelopersWords();
  const { id, community_id, email, status } = invitation;
  const ids = { community_id, community_invitation_id: id };
  const permission = 'organisations:decide';
  const resend = {
    permission,
    icon: <Mail size={14} />,
    title: `${t('resend')}: ${email}`,
    verb: t('resend'),
    consequence: t('resend_consequence'),
    run: () => act('post', RESEND, { ids }),
    call: { method: 'POST' as const, path: RESEND, ids },
  };
  const withdraw = {
    permission,
    icon: <X size={14} />,
    title: `${t('withdraw')}: ${email}`,
    verb: t('withdraw'),
    consequence: t('withdraw_invitation_consequence'),
    danger: { final: permission },
    run: () => act('post', WITHDRAW, { ids }),
    call: { method: 'POST' as const, path: WITHDRAW, ids },
  };
  const isOpen = status === 'pending' || status === 'expired';
  return (
    <Group gap={6} wrap="nowrap">
      <ActMenu
        acts={[...(isOpen && !isClosed ? [resend] : []), ...(status === 'pending' ? [withdraw] : [])]}
      />
      <HistoryButton subject={id} named={email} />
    </Group>
  );
}

function InviteDialog({ community_id, onClose }: { community_id: string; onClose: () => void }) {
  const t = useDevelopersWords();
  const own = useLanguage();
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [organisation, setOrganisation] = useState('');
  const [language, setLanguage] = useState(own);
  const ids = { community_id };
  const body = {
    email: email.trim(),
    ...(name.trim() === '' ? {} : { name: name.trim() }),
    ...(organisation.trim() === '' ? {} : { organisation_name: organisation.trim() }),
    language,
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('invite')}
      verb={t('invite')}
      consequence={t('invite_consequence')}
      isReady={body.email !== ''}
      run={(key) => act('post', PATH, { ids, key, body })}
      call={{ method: 'POST', path: PATH, ids, body, idempotent: true }}
    >
      <TextInput
        label={t('email')}
        type="email"
        required
        maxLength={254}
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label={t('person_name')}
        description={t('can_be_changed')}
        maxLength={255}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <TextInput
        label={t('organisation')}
        description={t('can_be_changed')}
        maxLength={255}
        value={organisation}
        onChange={(event) => setOrganisation(event.currentTarget.value)}
      />
      <Select
        label={t('mail_language')}
        data={languageNames.map((value) => ({ value, label: languages[value] }))}
        value={language}
        allowDeselect={false}
        onChange={(value) => setLanguage(languageNames.find((one) => one === value) ?? language)}
      />
    </ActDialog>
  );
}
