/** Joining a community: who one is, and its terms. What comes next comes by mail. */
import { Anchor, Button, Checkbox, Group, ScrollArea, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { MailCheck } from 'lucide-react';
import { type FormEvent, useState } from 'react';
import { useParams } from 'react-router';
import { send } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLanguage } from '../../ui/words.ts';
import { nameOf } from '../community/portal-self.ts';
import { Prose } from '../explore/prose.tsx';
import { useCommunity } from './community.tsx';
import { useFrontWords } from './front-words.ts';

export function Page() {
  const t = useFrontWords();
  const language = useLanguage();
  const { slug = '' } = useParams();
  const found = useCommunity(slug);
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [organisation, setOrganisation] = useState('');
  const [accepted, setAccepted] = useState(false);
  const joining = useMutation({
    mutationFn: (accepted_terms_version: string) =>
      send({
        method: 'POST',
        path: '/identity/sign-ups',
        stays: true,
        body: {
          community: slug,
          email: email.trim(),
          name: name.trim(),
          organisation_name: organisation.trim(),
          accepted_terms_version,
          language,
        },
      }),
    // Terms that have changed meanwhile are shown anew, and to be accepted anew.
    onError: () => {
      setAccepted(false);
      void found.refetch();
    },
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const community = found.data;
  const title = t('sign_up_to', { name: nameOf(community) });
  const isReady = accepted && [name, email, organisation].every((typed) => typed.trim() !== '');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) joining.mutate(community.terms.version);
  };
  return (
    <Stack gap="sm" maw={560} mx="auto">
      <title>{`${title} · financialapi`}</title>
      <Title order={1} size="h3">
        {joining.isSuccess ? t('look_in_mail') : title}
      </Title>
      {joining.isSuccess ? (
        <Section>
          <Group wrap="nowrap" align="flex-start">
            <MailCheck size={28} aria-hidden style={{ flexShrink: 0 }} />
            <Text size="sm" role="status">
              {t('look_in_mail_about', { email: email.trim() })}
            </Text>
          </Group>
          <Group>
            <Button variant="default" onClick={() => joining.reset()}>
              {t('again')}
            </Button>
          </Group>
        </Section>
      ) : community.sign_up === 'closed' ? (
        <Text size="sm">{t('closed', { institution: community.institution })}</Text>
      ) : (
        <Section>
          <form onSubmit={submit}>
            <Stack gap="sm">
              {community.sign_up === 'approval' && (
                <Text size="sm">{t('approval', { institution: community.institution })}</Text>
              )}
              <TextInput
                label={t('your_name')}
                required
                autoComplete="name"
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
              />
              <TextInput
                label={t('email')}
                description={
                  community.email_domains.length === 0
                    ? t('email_about')
                    : t('domains', { domains: community.email_domains.join(', ') })
                }
                type="email"
                required
                autoComplete="email"
                value={email}
                onChange={(event) => setEmail(event.currentTarget.value)}
              />
              <TextInput
                label={t('organisation')}
                description={t('organisation_about')}
                required
                autoComplete="organization"
                value={organisation}
                onChange={(event) => setOrganisation(event.currentTarget.value)}
              />
              <div>
                <Text size="xs" fw={600} mb={4}>
                  {t('terms_version', { version: community.terms.version })}
                </Text>
                <ScrollArea.Autosize
                  mah={220}
                  p="xs"
                  className="terms"
                  viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('terms') }}
                >
                  <Stack gap="xs">
                    <Prose text={community.terms.text} />
                  </Stack>
                </ScrollArea.Autosize>
              </div>
              <Checkbox
                size="xs"
                label={t('accept')}
                required
                checked={accepted}
                onChange={(event) => setAccepted(event.currentTarget.checked)}
              />
              {joining.isError && <Refused error={joining.error} />}
              <Group justify="space-between">
                <Text size="sm">
                  {t('have_account')}{' '}
                  <Anchor href="/identity/sign-in?next=/portal" size="sm" underline="always">
                    {t('sign_in')}
                  </Anchor>
                </Text>
                <Button type="submit" loading={joining.isPending} disabled={!isReady}>
                  {t('join')}
                </Button>
              </Group>
            </Stack>
          </form>
        </Section>
      )}
    </Stack>
  );
}
