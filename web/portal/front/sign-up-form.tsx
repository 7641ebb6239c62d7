/** Who wants to join a community, and the terms that they accept. */
import { Anchor, Button, Checkbox, Group, ScrollArea, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Section } from '../../ui/facts.tsx';
import { Refused } from '../../ui/states.tsx';
import type { Community } from '../community/portal-self.ts';
import { Prose } from '../explore/prose.tsx';
import { useFrontWords } from './front-words.ts';

export interface Who {
  name: string;
  email: string;
  organisation: string;
}

export function SignUpForm({
  community,
  initial,
  verb,
  note,
  emailAbout,
  isEmailFixed = false,
  join,
  onRefused,
}: {
  community: Community;
  /** What the fields begin with. */
  initial: Who;
  /** On the button. */
  verb: string;
  /** Above the fields. */
  note?: string;
  emailAbout: string;
  isEmailFixed?: boolean;
  join: (who: Who, accepted_terms_version: string) => Promise<void>;
  onRefused: () => void;
}) {
  const t = useFrontWords();
  const [name, setName] = useState(initial.name);
  const [email, setEmail] = useState(initial.email);
  const [organisation, setOrganisation] = useState(initial.organisation);
  const [accepted, setAccepted] = useState(false);
  const who = { name: name.trim(), email: email.trim(), organisation: organisation.trim() };
  const joining = useMutation({
    mutationFn: (version: string) => join(who, version),
    // Terms that have changed meanwhile are shown anew, and to be accepted anew.
    onError: () => {
      setAccepted(false);
      onRefused();
    },
  });
  const isReady = accepted && Object.values(who).every((typed) => typed !== '');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) joining.mutate(community.terms.version);
  };
  return (
    <Section>
      <form onSubmit={submit}>
        <Stack gap="sm">
          {note !== undefined && <Text size="sm">{note}</Text>}
          <TextInput
            label={t('your_name')}
            required
            maxLength={255}
            autoComplete="name"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <TextInput
            label={t('email')}
            description={emailAbout}
            type="email"
            required
            readOnly={isEmailFixed}
            variant={isEmailFixed ? 'filled' : 'default'}
            autoComplete="email"
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
          />
          <TextInput
            label={t('organisation')}
            description={t('organisation_about')}
            required
            maxLength={255}
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
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
