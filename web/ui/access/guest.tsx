/**
 * Where links lead that were handed to somebody who is not signed in: to accept an invitation, or to choose a new
 * password. The token is behind the `#`, which a browser tells no server.
 */
import { Alert, Button, Center, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { send } from '../../api/client.ts';
import { isChosen, NewPassword, unchosen } from '../security/new-password.tsx';
import { usePlace } from '../shell/place.ts';
import { Refused } from '../states.tsx';
import { useAccessWords } from './access-words.ts';

export type GuestPage = 'welcome' | 'new-password';

export default function Guest({ page }: { page: GuestPage }) {
  const t = useAccessWords();
  const { base } = usePlace();
  const isInvited = page === 'welcome';
  const token = location.hash.slice(1);
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState(unchosen);
  const [error, setError] = useState<unknown>();
  const [state, setState] = useState<'asking' | 'sending' | 'done'>('asking');
  const title = t(isInvited ? 'welcome' : 'new_password');
  const { password } = chosen;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setState('sending');
    setError(undefined);
    try {
      await send(
        isInvited
          ? {
              method: 'POST',
              path: '/identity/invitations/accept',
              body: { token, name: name.trim(), password },
            }
          : { method: 'POST', path: '/identity/password-resets/complete', body: { token, password } },
      );
      // The token is used up: it need not stay in the history of the browser.
      history.replaceState(null, '', location.pathname);
      setState('done');
    } catch (failure) {
      setError(failure);
      setState('asking');
    }
  };
  return (
    <Center component="main" mih="100vh" p="md">
      <Paper withBorder p="lg" w="100%" maw={420}>
        <title>{`${title} · financialapi`}</title>
        <Stack gap="sm">
          <Title order={1} size="h3">
            {title}
          </Title>
          {state === 'done' ? (
            <>
              <Text size="sm">{t(isInvited ? 'welcome_done' : 'new_password_done')}</Text>
              <Button component="a" href={`/identity/sign-in?next=${base}`}>
                {t('go_sign_in')}
              </Button>
            </>
          ) : token === '' ? (
            <Alert color="orange" variant="light">
              {t('link_incomplete')}
            </Alert>
          ) : (
            <form onSubmit={(event) => void submit(event)}>
              <Stack gap="sm">
                <Text size="sm">{t(isInvited ? 'welcome_about' : 'new_password_about')}</Text>
                {isInvited && (
                  <TextInput
                    label={t('your_name')}
                    required
                    autoComplete="name"
                    value={name}
                    onChange={(event) => setName(event.currentTarget.value)}
                  />
                )}
                <NewPassword label={t('password')} chosen={chosen} onChange={setChosen} />
                {error !== undefined && <Refused error={error} />}
                <Button
                  type="submit"
                  loading={state === 'sending'}
                  disabled={!isChosen(chosen) || (isInvited && name.trim() === '')}
                >
                  {t(isInvited ? 'come_in' : 'set_password')}
                </Button>
              </Stack>
            </form>
          )}
        </Stack>
      </Paper>
    </Center>
  );
}
