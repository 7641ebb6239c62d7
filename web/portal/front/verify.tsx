/**
 * Where the link of the mail leads: the address is confirmed, and a password chosen. The token is behind the `#`, which a
 * browser tells no server.
 */
import { Alert, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { send } from '../../api/client.ts';
import { Loading, Refused } from '../../ui/states.tsx';
import { ComeIn, type Verified } from './come-in.tsx';
import { useFrontWords } from './front-words.ts';

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
