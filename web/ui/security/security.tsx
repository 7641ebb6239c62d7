/** How whoever is signed in signs in: password, authenticator app, passkeys and recovery codes. */
import { Button, Group, PasswordInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { KeyRound, LifeBuoy, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { send } from '../../api/client.ts';
import { ActDialog } from '../act-dialog.tsx';
import { Facts, Section } from '../facts.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { Loading, Refused } from '../states.tsx';
import { AuthenticatorButton } from './authenticator.tsx';
import { done } from './done.ts';
import { isChosen, NewPassword, unchosen } from './new-password.tsx';
import { AddPasskeyButton, Passkeys } from './passkeys.tsx';
import { useSecurityWords } from './security-words.ts';

interface Me {
  email: string;
  second_factors: ('totp' | 'passkey' | 'recovery_code')[];
}

export function Security() {
  const t = useSecurityWords();
  const me = useQuery({
    queryKey: ['me'],
    queryFn: async () => {
      const { text } = await send({ method: 'GET', path: '/identity/me' });
      const answer: Me = JSON.parse(text);
      return answer;
    },
  });
  if (me.isError) return <Refused error={me.error} retry={() => void me.refetch()} />;
  if (me.data === undefined) return <Loading />;
  const { email, second_factors } = me.data;
  const hasApp = second_factors.includes('totp');
  return (
    <Section title={t('signing_in')} aside={<PasswordButton />}>
      <Facts
        facts={[
          [t('email'), email],
          [
            t('second_factors'),
            second_factors.length === 0
              ? t('no_second_factor')
              : second_factors.map((factor) => t(`factor_${factor}`)).join(', '),
          ],
        ]}
      />
      <Group gap="xs">
        {hasApp ? <RemoveAppButton /> : <AuthenticatorButton label={t('set_authenticator')} />}
        <AddPasskeyButton />
        {second_factors.length > 0 && <RecoveryCodesButton />}
      </Group>
      <Passkeys />
    </Section>
  );
}

function PasswordButton() {
  const t = useSecurityWords();
  const [opened, { open, close }] = useDisclosure(false);
  const [current_password, setCurrent] = useState('');
  const [chosen, setChosen] = useState(unchosen);
  const clear = () => {
    setCurrent('');
    setChosen(unchosen);
  };
  return (
    <>
      <Button variant="default" leftSection={<KeyRound size={14} />} onClick={open}>
        {t('change_password')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={() => {
          clear();
          close();
        }}
        title={t('change_password')}
        verb={t('change_password')}
        consequence={t('change_password_consequence')}
        isReady={current_password !== '' && isChosen(chosen)}
        run={async () => {
          const body = { current_password, new_password: chosen.password };
          await send({ method: 'POST', path: '/identity/me/password', body, stays: true });
          return done;
        }}
      >
        <PasswordInput
          size="xs"
          label={t('current_password')}
          required
          autoComplete="current-password"
          value={current_password}
          onChange={(event) => setCurrent(event.currentTarget.value)}
          data-autofocus
        />
        <NewPassword label={t('new_password')} chosen={chosen} onChange={setChosen} />
      </ActDialog>
    </>
  );
}

function RemoveAppButton() {
  const t = useSecurityWords();
  const [opened, { open, close }] = useDisclosure(false);
  return (
    <>
      <Button variant="default" leftSection={<Trash2 size={14} />} onClick={open}>
        {t('remove_authenticator')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('remove_authenticator')}
        verb={t('remove')}
        consequence={t('remove_authenticator_consequence')}
        danger="final"
        run={async () => {
          await send({ method: 'POST', path: '/identity/me/totp/remove', stays: true });
          return done;
        }}
      />
    </>
  );
}

function RecoveryCodesButton() {
  const t = useSecurityWords();
  const [opened, { open, close }] = useDisclosure(false);
  const [codes, setCodes] = useState<string>();
  return (
    <>
      <Button variant="default" leftSection={<LifeBuoy size={14} />} onClick={open}>
        {t('new_recovery_codes')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('new_recovery_codes')}
        verb={t('new_recovery_codes')}
        consequence={t('new_recovery_codes_consequence')}
        danger="final"
        run={async () => {
          const { text } = await send({ method: 'POST', path: '/identity/me/recovery-codes', stays: true });
          const answer: { recovery_codes: string[] } = JSON.parse(text);
          setCodes(answer.recovery_codes.join('\n'));
          return done;
        }}
      />
      <ShownOnce
        title={t('recovery_codes')}
        about={t('recovery_codes_about')}
        secret={codes}
        onClose={() => setCodes(undefined)}
      />
    </>
  );
}
