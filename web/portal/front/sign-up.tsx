/**
 * Joining a community: who one is, and its terms. What comes next comes by mail, unless one was invited: the link of that
 * mail leads here, and shows by its token that the address is one's own. It is behind the `#`, which a browser tells no server.
 */
import { Button, Group, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { MailCheck } from 'lucide-react';
import { useState } from 'react';
import { useLocation, useParams } from 'react-router';
import type { Done } from '../../api/act.ts';
import { send } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLanguage } from '../../ui/words.ts';
import { type Community, nameOf } from '../community/portal-self.ts';
import { ComeIn, type Verified } from './come-in.tsx';
import { useCommunity } from './community.tsx';
import { useFrontWords } from './front-words.ts';
import { SignUpForm, type Who } from './sign-up-form.tsx';

export function Page() {
  const { slug = '' } = useParams();
  // Another link that is opened in the same tab changes nothing but this.
  const token = useLocation().hash.slice(1);
  return token === '' ? <SignUp slug={slug} /> : <Invited key={token} token={token} />;
}

interface SignedUp {
  /** `kept`: this installation sends no mail. */
  status: 'mailed' | 'kept';
}

function SignUp({ slug }: { slug: string }) {
  const t = useFrontWords();
  const language = useLanguage();
  const found = useCommunity(slug);
  const [who, setWho] = useState<Who>({ name: '', email: '', organisation: '' });
  const [outcome, setOutcome] = useState<SignedUp['status']>();
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const community = found.data;
  const { institution, sign_up, email_domains } = community;
  const title = t('sign_up_to', { name: nameOf(community) });
  return (
    <Stack gap="sm" maw={560} mx="auto">
      <title>{`${title} · financialapi`}</title>
      <Title order={1} size="h3">
        {outcome === undefined
          ? title
          : t(outcome === 'mailed' ? 'look_in_mail' : 'mail_kept', { institution })}
      </Title>
      {outcome !== undefined ? (
        <Section>
          <Group wrap="nowrap" align="flex-start">
            <MailCheck size={28} aria-hidden style={{ flexShrink: 0 }} />
            <Text size="sm" role="status">
              {t(outcome === 'mailed' ? 'look_in_mail_about' : 'mail_kept_about', {
                email: who.email,
                institution,
              })}
            </Text>
          </Group>
          <Group>
            <Button variant="default" onClick={() => setOutcome(undefined)}>
              {t('again')}
            </Button>
          </Group>
        </Section>
      ) : sign_up === 'closed' || sign_up === 'invitation' ? (
        <Text size="sm">{t(sign_up === 'closed' ? 'closed' : 'invitation_only', { institution })}</Text>
      ) : (
        <SignUpForm
          community={community}
          initial={who}
          verb={t('join')}
          {...(sign_up === 'approval' ? { note: t('approval', { institution }) } : {})}
          emailAbout={
            email_domains.length === 0
              ? t('email_about')
              : t('domains', { domains: email_domains.join(', ') })
          }
          join={async (typed, accepted_terms_version) => {
            const { name, email, organisation: organisation_name } = typed;
            const { text } = await send({
              method: 'POST',
              path: '/identity/sign-ups',
              stays: true,
              body: { community: slug, email, name, organisation_name, accepted_terms_version, language },
            });
            const { status }: SignedUp = JSON.parse(text);
            setWho(typed);
            setOutcome(status);
          }}
          onRefused={() => void found.refetch()}
        />
      )}
    </Stack>
  );
}

type Seen = Done<'/identity/sign-ups/invitation', 'post'>;

function Invited({ token }: { token: string }) {
  const t = useFrontWords();
  const seen = useQuery({
    queryKey: ['invitation', token],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const { text } = await send({
        method: 'POST',
        path: '/identity/sign-ups/invitation',
        body: { token },
        stays: true,
      });
      const answer: Seen = JSON.parse(text);
      return answer;
    },
  });
  if (seen.data !== undefined) return <InvitedTo token={token} invitation={seen.data} />;
  return (
    <Stack gap="sm" maw={560} mx="auto">
      <title>{`${t('your_invitation')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('your_invitation')}
      </Title>
      {seen.isError ? <Refused error={seen.error} /> : <Loading />}
    </Stack>
  );
}

function InvitedTo({ token, invitation }: { token: string; invitation: Seen }) {
  const t = useFrontWords();
  const found = useCommunity(invitation.community);
  const [verified, setVerified] = useState<Verified>();
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const community = found.data;
  const invitation_token = verified?.invitation_token;
  const isIn = verified !== undefined && invitation_token !== undefined;
  const title = isIn ? t('choose_password') : t('sign_up_to', { name: nameOf(community) });
  return (
    <Stack gap="sm" maw={isIn ? 460 : 560} mx="auto">
      <title>{`${title} · financialapi`}</title>
      <Title order={1} size="h3">
        {title}
      </Title>
      {isIn ? (
        <ComeIn verified={verified} invitation_token={invitation_token} />
      ) : (
        <Accept
          token={token}
          invitation={invitation}
          community={community}
          onJoined={setVerified}
          onRefused={() => void found.refetch()}
        />
      )}
    </Stack>
  );
}

function Accept({
  token,
  invitation,
  community,
  onJoined,
  onRefused,
}: {
  token: string;
  invitation: Seen;
  community: Community;
  onJoined: (verified: Verified) => void;
  onRefused: () => void;
}) {
  const t = useFrontWords();
  const language = useLanguage();
  const { email, name = '', organisation_name = '' } = invitation;
  return (
    <SignUpForm
      community={community}
      initial={{ name, email, organisation: organisation_name }}
      verb={t('go_on')}
      note={t('invited_about', { institution: community.institution })}
      emailAbout={t('email_invited')}
      isEmailFixed
      join={async (typed, accepted_terms_version) => {
        const { text } = await send({
          method: 'POST',
          path: '/identity/sign-ups/accept',
          stays: true,
          body: {
            token,
            name: typed.name,
            organisation_name: typed.organisation,
            accepted_terms_version,
            language,
          },
        });
        const answer: Verified = JSON.parse(text);
        onJoined(answer);
      }}
      onRefused={onRefused}
    />
  );
}
