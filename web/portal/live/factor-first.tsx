/** Shown to developers whose community asks for a second factor before anything else: the server refuses the rest until then. */
import { Anchor, Group, Stack, Text, Title } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { send } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { AuthenticatorButton } from '../../ui/security/authenticator.tsx';
import { AddPasskeyButton } from '../../ui/security/passkeys.tsx';
import { useSelf } from '../../ui/self.tsx';
import { useLiveWords } from './live-words.ts';

export default function FactorFirst() {
  const t = useLiveWords();
  const { tenant } = useSelf();
  const leave = async () => {
    await send({ method: 'POST', path: '/identity/sign-out', stays: true });
    location.assign('/portal');
  };
  return (
    <Stack component="main" gap="sm" maw={460} mx="auto" p="md" pt={64}>
      <Notifications position="bottom-right" />
      <title>{`${t('factor_first')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('factor_first')}
      </Title>
      <Section>
        <Text size="sm">{t('factor_first_about', { organisation: tenant.name })}</Text>
        <Group>
          <AuthenticatorButton label={t('set_factor')} />
          <AddPasskeyButton />
        </Group>
      </Section>
      <Anchor component="button" type="button" size="sm" ta="left" onClick={() => void leave()}>
        {t('sign_out')}
      </Anchor>
    </Stack>
  );
}
