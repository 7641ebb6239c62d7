/**
 * Where the link of the mail leads: the address is confirmed, and a password chosen. The token is behind the `#`, which a
 * browser tells no server.
 */
import { Alert, Button, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { Done } from '../../api/act.ts';
import { send } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useFrontWords } from './front-words.ts';

type Verified = Done<'/identity/sign-ups/verify', 'post'>;

export function Page() {
  const t = useFrontWords();
  const [token] = useState(() => location.hash.slice(1));
  const verified = useQuery({
    queryKey: ['verify', token],
    enabled: token !== '',
    staleTime: Number.POSITIVE_INFINITY,
    // Once: each time makes another invitation, and the one before is good no more.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    queryFn: async () => {
      const { text } = await send({
        method: 'POST',
        path: '/identity/sign-ups/verify',
        body: { token },
        stays: true,
      });
      const answer: Verified = JSON.parse(text);
      return answer;
    },
  });
  const title = t(verified.data === undefined ? 'verifying' : 'verify');
  return (
    <Stack gap="sm" maw={460} mx="auto">
      <title>{`${title} · financialapi`}</title>
      <Title order={1} size="h3">
        {title}
      </Title>
      {token === '' ? (
        <Alert color="orange" variant="light">
          {t('link_incomplete')}
        </Alert>
      ) : verified.isError ? (
        <Refused error={verified.error} />
      ) : verified.data === undefined ? (
        <Loading />
      ) : verified.data.invitation_token === undefined ? (
        <Text size="sm">{t('pending', { organisation: verified.data.organisation_name })}</Text>
      ) : (
        <ComeIn verified={verified.data} invitation_token={verified.data.invitation_token} />
      )}
    </Stack>
  );
}

function ComeIn({ verified, invitation_token }: { verified: Verified; invitation_token: string }) {
  const t = useFrontWords();
  const [name, setName] = useState(verified.name);
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const accepting = useMutation({
    mutationFn: async () => {
      await send({
        method: 'POST',
        path: '/identity/invitations/accept',
        body: { token: invitation_token, name: name.trim(), password },
        stays: true,
      });
      // The token is used up: it need not stay in the history of the browser.
      history.replaceState(null, '', location.pathname);
      // Whoever has just chosen a password need not type it again. Where it does not do, the page of sign-in says why.
      const body = { email: verified.email, password };
      const signedIn = await send({ method: 'POST', path: '/identity/sign-in', body, stays: true }).catch(
        () => undefined,
      );
      const { status }: { status?: string } = JSON.parse(signedIn?.text ?? '{}');
      location.assign(status === 'signed_in' ? '/portal' : '/identity/sign-in?next=/portal');
    },
  });
  const differs = again !== '' && again !== password;
  const isReady = name.trim() !== '' && password !== '' && again === password;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) accepting.mutate();
  };
  return (
    <Section>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Text size="sm">
            {t('choose', { email: verified.email, organisation: verified.organisation_name })}
          </Text>
          <TextInput
            label={t('your_name')}
            required
            autoComplete="name"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <PasswordInput
            size="xs"
            label={t('password')}
            description={t('password_about')}
            required
            autoComplete="new-password"
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
          <PasswordInput
            size="xs"
            label={t('password_again')}
            required
            autoComplete="new-password"
            value={again}
            onChange={(event) => setAgain(event.currentTarget.value)}
            error={differs ? t('passwords_differ') : undefined}
          />
          {accepting.isError && <Refused error={accepting.error} />}
          <Button type="submit" loading={accepting.isPending || accepting.isSuccess} disabled={!isReady}>
            {t('come_in')}
          </Button>
        </Stack>
      </form>
    </Section>
  );
}
