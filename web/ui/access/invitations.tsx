import { Badge, Group } from '@mantine/core';
import { Link2, X } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { ActButton } from '../act-button.tsx';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { ListPage } from '../list-page.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { useAccessWords } from './access-words.ts';
import { InviteButton, useInvitationLink } from './invite.tsx';
import { AccessStatus } from './status.tsx';

const states = ['open', 'accepted', 'expired', 'revoked'] as const;

export function Page() {
  const t = useAccessWords();
  return (
    <ListPage
      title={t('invitations')}
      about={t('invitations_about')}
      path="/api/v2/invitations"
      permission="invitations:read"
      keyOf={({ id }) => id}
      actions={<InviteButton />}
      filters={[
        { name: 'email', label: t('email') },
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
      ]}
      columns={[
        { name: 'email', title: t('email'), value: ({ email }) => email },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} short />,
          wide: true,
        },
        {
          name: 'roles',
          title: t('roles'),
          value: ({ roles }) => roles.join(' '),
          show: ({ roles }) => (
            <Group gap={4}>
              {roles.map((role) => (
                <Badge key={role} size="sm" variant="default" tt="none">
                  {role}
                </Badge>
              ))}
            </Group>
          ),
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <AccessStatus status={status} />,
        },
        {
          name: 'expires_at',
          title: t('good_until'),
          value: ({ expires_at }) => expires_at,
          show: ({ expires_at }) => <Moment at={expires_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => undefined,
          show: ({ id, email, status }) => (
            <Group gap={6}>
              {(status === 'open' || status === 'expired') && (
                <InvitationActs id={id} email={email} isOpen={status === 'open'} />
              )}
              <HistoryButton subject={id} named={email} />
            </Group>
          ),
        },
      ]}
    />
  );
}

function InvitationActs({ id, email, isOpen }: { id: string; email: string; isOpen: boolean }) {
  const t = useAccessWords();
  const linkOf = useInvitationLink();
  const [token, setToken] = useState<string>();
  const ids = { invitation_id: id };
  return (
    <Group gap={6}>
      <ActButton
        permission="invitations:create"
        icon={<Link2 size={14} />}
        title={`${t('new_link')}: ${email}`}
        verb={t('new_link')}
        consequence={t('new_link_consequence')}
        run={async (key) => {
          const outcome = await act('post', '/api/v2/invitations/{invitation_id}/resend', { ids, key });
          if (outcome.kind === 'done') setToken(outcome.answer.token);
          return outcome;
        }}
        call={{ method: 'POST', path: '/api/v2/invitations/{invitation_id}/resend', ids }}
      />
      {isOpen && (
        <ActButton
          permission="invitations:revoke"
          icon={<X size={14} />}
          title={`${t('revoke')}: ${email}`}
          verb={t('revoke')}
          consequence={t('revoke_invitation_consequence')}
          danger={{ final: 'invitations:revoke' }}
          run={(key) => act('post', '/api/v2/invitations/{invitation_id}/revoke', { ids, key })}
          call={{ method: 'POST', path: '/api/v2/invitations/{invitation_id}/revoke', ids }}
        />
      )}
      <ShownOnce
        title={t('invitation_link')}
        about={t('invitation_link_about', { email })}
        secret={token === undefined ? undefined : linkOf(token)}
        onClose={() => setToken(undefined)}
      />
    </Group>
  );
}
