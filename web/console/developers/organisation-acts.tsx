/** An organisation is let in or not, stopped, and let in again. */
import { Group } from '@mantine/core';
import { act } from '../../api/act.ts';
import { ActButton } from '../../ui/act-button.tsx';
import type { Danger } from '../../ui/can-it-be-undone.tsx';
import { ReasonButton } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';

const APPROVE = '/api/v2/organisations/{organisation_id}/approve';
const paths = {
  reject: '/api/v2/organisations/{organisation_id}/reject',
  suspend: '/api/v2/organisations/{organisation_id}/suspend',
  resume: '/api/v2/organisations/{organisation_id}/resume',
} as const;

const dangers: Readonly<Record<keyof typeof paths, { danger?: Danger }>> = {
  reject: { danger: { final: 'organisations:decide' } },
  suspend: { danger: 'undoable' },
  resume: {},
};

export function OrganisationActs({
  id,
  name,
  status,
}: {
  id: string;
  name: string;
  status: 'pending' | 'active' | 'suspended' | 'rejected';
}) {
  const t = useDevelopersWords();
  const ids = { organisation_id: id };
  const withReason = (verb: keyof typeof paths, consequence: string) => (
    <ReasonButton
      permission="organisations:decide"
      verb={t(verb)}
      title={name}
      consequence={consequence}
      {...dangers[verb]}
      run={(body) => act('post', paths[verb], { ids, body })}
      call={(body) => ({ method: 'POST', path: paths[verb], ids, body })}
    />
  );
  return (
    <Group gap="xs" wrap="nowrap">
      {status === 'pending' && (
        <>
          <ActButton
            permission="organisations:decide"
            title={`${t('approve')}: ${name}`}
            verb={t('approve')}
            consequence={t('approve_organisation_consequence')}
            run={() => act('post', APPROVE, { ids })}
            call={{ method: 'POST', path: APPROVE, ids }}
          />
          {withReason('reject', t('reject_organisation_consequence'))}
        </>
      )}
      {status === 'active' && withReason('suspend', t('suspend_consequence'))}
      {status === 'suspended' && withReason('resume', t('resume_consequence'))}
    </Group>
  );
}
