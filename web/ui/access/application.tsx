import { Code, Stack, TagsInput, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { KeyRound, Pencil, Power } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Permitted } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { Loading, Refused } from '../states.tsx';
import { useAccessWords } from './access-words.ts';
import { PermissionPicker } from './permission-picker.tsx';
import { Permissions } from './permissions.tsx';
import { AccessStatus } from './status.tsx';

export type Application = BodyOf<'/api/v2/applications/{application_id}'>;

const PATH = '/api/v2/applications/{application_id}';

export function Page() {
  return <ApplicationPage />;
}

/** @param props.more what else there is of an application, shown after what it is */
export function ApplicationPage({ more }: { more?: (application: Application) => ReactNode }) {
  return (
    <Permitted permission="applications:read">
      <Found more={more} />
    </Permitted>
  );
}

function Found({ more }: { more: ((application: Application) => ReactNode) | undefined }) {
  const t = useAccessWords();
  const { application_id = '' } = useParams();
  const ids = { application_id };
  const found = useQuery({
    queryKey: ['application', application_id],
    queryFn: () => getTagged(PATH, { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: application, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={application.name}
        id={application.id}
        badge={<AccessStatus status={application.status} />}
        actions={
          <>
            <Acts application={application} etag={etag} />
            <HistoryButton subject={application.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('environment'), application.environment],
            [t('auth_method'), application.auth_method],
            [t('grant_types'), application.grant_types.join(', ')],
            [t('token_binding'), application.token_binding],
            ['FAPI 2.0', t(application.fapi ? 'yes' : 'no')],
            [t('plan'), application.plan],
            ...(application.jwks_uri === undefined ? [] : [[t('jwks_uri'), application.jwks_uri] as const]),
            ...(application.redirect_uris.length === 0
              ? []
              : [[t('redirect_uris'), application.redirect_uris.join(', ')] as const]),
            [t('created'), <Moment key="c" at={application.created_at} />],
            [t('created_by'), <IdLink key="b" id={application.created_by} short />],
            [t('updated'), <Moment key="u" at={application.updated_at} />],
          ]}
        />
      </Section>
      {more?.(application)}
      <Section title={t('may_do')}>
        <Permissions permissions={application.scopes} />
      </Section>
      {application.jwks !== undefined && (
        <Section title={t('public_keys')}>
          <Code block tabIndex={0}>
            {JSON.stringify(application.jwks, null, 2)}
          </Code>
        </Section>
      )}
    </Stack>
  );
}

function Acts({ application, etag }: { application: Application; etag: string }) {
  const t = useAccessWords();
  const [secret, setSecret] = useState<string>();
  const ids = { application_id: application.id };
  const isActive = application.status === 'active';
  const body = { status: isActive ? ('disabled' as const) : ('active' as const) };
  return (
    <>
      <FormButton permission="applications:edit" label={t('edit')} icon={<Pencil size={14} />}>
        {(close) => <EditDialog application={application} etag={etag} onClose={close} />}
      </FormButton>
      {application.auth_method.startsWith('client_secret') && (
        <ActButton
          permission="applications:edit"
          icon={<KeyRound size={14} />}
          title={`${t('new_secret')}: ${application.name}`}
          verb={t('new_secret')}
          consequence={t('new_secret_consequence')}
          run={async (key) => {
            const outcome = await act('post', `${PATH}/secrets`, { ids, key, body: {} });
            if (outcome.kind === 'done') setSecret(outcome.answer.client_secret);
            return outcome;
          }}
          call={{ method: 'POST', path: `${PATH}/secrets`, ids, body: {}, idempotent: true }}
        />
      )}
      <ActButton
        permission="applications:edit"
        icon={<Power size={14} />}
        title={`${t(isActive ? 'disable' : 'enable')}: ${application.name}`}
        verb={t(isActive ? 'disable' : 'enable')}
        consequence={t(isActive ? 'disable_application_consequence' : 'enable_application_consequence')}
        {...(isActive ? { danger: 'undoable' } : {})}
        run={(key) => act('patch', PATH, { ids, key, body, if_match: etag })}
        call={{ method: 'PATCH', path: PATH, ids, body }}
      />
      <ShownOnce title={t('the_secret')} secret={secret} onClose={() => setSecret(undefined)} />
    </>
  );
}

function EditDialog({
  application,
  etag,
  onClose,
}: {
  application: Application;
  etag: string;
  onClose: () => void;
}) {
  const t = useAccessWords();
  const [name, setName] = useState(application.name);
  const [scopes, setScopes] = useState(application.scopes);
  const [redirects, setRedirects] = useState(application.redirect_uris);
  const ids = { application_id: application.id };
  const isSame = (a: readonly string[], b: readonly string[]) =>
    JSON.stringify(a.toSorted()) === JSON.stringify(b.toSorted());
  const body = {
    ...(name.trim() === application.name ? {} : { name: name.trim() }),
    ...(isSame(scopes, application.scopes) ? {} : { scopes }),
    ...(isSame(redirects, application.redirect_uris) ? {} : { redirect_uris: redirects }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={`${t('edit')}: ${application.name}`}
      verb={t('save')}
      consequence={t('edit_application_consequence')}
      isReady={Object.keys(body).length > 0 && name.trim() !== '' && scopes.length > 0}
      run={(key) => act('patch', PATH, { ids, key, body, if_match: etag })}
      call={{ method: 'PATCH', path: PATH, ids, body }}
    >
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      {application.grant_types.includes('authorization_code') && (
        <TagsInput size="xs" label={t('redirect_uris')} value={redirects} onChange={setRedirects} />
      )}
      <PermissionPicker label={t('permissions')} value={scopes} onChange={setScopes} />
    </ActDialog>
  );
}
