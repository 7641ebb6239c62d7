/** Choosing a password, by which one comes into the sandbox that one has now. */
import { Button, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { Done } from '../../api/act.ts';
import { send } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { isChosen, NewPassword, unchosen } from '../../ui/security/new-password.tsx';
import { Refused } from '../../ui/states.tsx';
import { useFrontWords } from './front-words.ts';

export type Verified = Done<'/identity/sign-ups/verify', 'post'>;

export function ComeIn({ verified, invitation_token }: { verified: Verified; invitation_token: string }) {
  const t = useFrontWords();
  const [name, setName] = useState(verified.name);
  const [chosen, setChosen] = useState(unchosen);
  const { password } = chosen;
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
  const isReady = name.trim() !== '' && isChosen(chosen);
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
          <NewPassword label={t('password')} chosen={chosen} onChange={setChosen} />
          {accepting.isError && <Refused error={accepting.error} />}
          <Button type="submit" loading={accepting.isPending || accepting.isSuccess} disabled={!isReady}>
            {t('come_in')}
          </Button>
        </Stack>
      </form>
    </Section>
  );
}
