/** Invites somebody; the link by which they come in is shown once. */
import { MultiSelect, NumberInput, TextInput } from '@mantine/core';
import { UserPlus } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { usePlace } from '../shell/place.ts';
import { ShownOnce } from '../shown-once.tsx';
import { useAccessWords } from './access-words.ts';
import { useOfferedRoles } from './grant-dialog.tsx';

const DAY_S = 86_400;

/** Where whoever is invited chooses a password. The token stands where no server is told it. */
export function useInvitationLink(): (token: string) => string {
  const { base } = usePlace();
  return (token) => `${location.origin}${base}/welcome#${token}`;
}

export function InviteButton() {
  const t = useAccessWords();
  const linkOf = useInvitationLink();
  const [made, setMade] = useState<{ email: string; token?: string }>();
  return (
    <>
      <FormButton permission="invitations:create" label={t('invite')} icon={<UserPlus size={14} />} isPrimary>
        {(close) => <InviteDialog onClose={close} onMade={setMade} />}
      </FormButton>
      <ShownOnce
        title={t('invitation_link')}
        about={t('invitation_link_about', { email: made?.email ?? '' })}
        secret={made?.token === undefined ? undefined : linkOf(made.token)}
        onClose={() => setMade(undefined)}
      />
    </>
  );
}

function InviteDialog({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (made: { email: string; token?: string }) => void;
}) {
  const t = useAccessWords();
  const roles = useOfferedRoles();
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<string[]>([]);
  const [days, setDays] = useState<number | string>(7);
  const body = {
    email: email.trim(),
    ...(name.trim() === '' ? {} : { name: name.trim() }),
    roles: chosen,
    expires_in_s: Number(days) * DAY_S,
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('invite')}
      verb={t('invite')}
      consequence={t('invite_consequence')}
      isReady={email.trim() !== '' && Number(days) >= 1}
      run={(key) => act('post', '/api/v2/invitations', { key, body })}
      call={{ method: 'POST', path: '/api/v2/invitations', body, idempotent: true }}
      onDone={onMade}
    >
      <TextInput
        label={t('email')}
        type="email"
        required
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label={t('name_optional')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <MultiSelect
        label={t('roles')}
        description={t('invite_roles_about')}
        size="xs"
        searchable
        data={roles.map((role) => role.name)}
        value={chosen}
        onChange={setChosen}
      />
      <NumberInput
        label={t('good_for_days')}
        min={1}
        max={30}
        allowDecimal={false}
        value={days}
        onChange={setDays}
      />
    </ActDialog>
  );
}
