/** Grants a role to a person: for everything, or for what carries labels. */
import { SegmentedControl, Select, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { ActDialog } from '../act-dialog.tsx';
import { LabelsField, labelsOf } from '../labels.tsx';
import { usePlace } from '../shell/place.ts';
import { useAccessWords } from './access-words.ts';

const TYPING_MS = 200;

export function useRoles() {
  return useQuery({ queryKey: ['roles'], queryFn: () => get('/api/v2/roles'), staleTime: 60_000 });
}

/** Names of the roles that can be given to somebody here. */
export function useOfferedRoles() {
  const { roles } = usePlace();
  const found = useRoles();
  const offered = found.data?.data.filter(
    ({ name, predefined }) => !predefined || roles === undefined || roles.includes(name),
  );
  return offered ?? [];
}

export function GrantDialog({
  person,
  onClose,
}: {
  /** Whose role it is; chosen here if absent. */
  person?: { id: string; name: string };
  onClose: () => void;
}) {
  const t = useAccessWords();
  const roles = useOfferedRoles();
  const [chosen, setChosen] = useState<{ id: string; name: string } | undefined>(person);
  const [role, setRole] = useState<string | null>(null);
  const [isNarrowed, setNarrowed] = useState(false);
  const [typed, setTyped] = useState('');
  const labels = labelsOf(typed);
  const body = {
    person_id: chosen?.id ?? '',
    role: role ?? '',
    ...(isNarrowed && labels !== undefined ? { labels } : {}),
  };
  const found = roles.find(({ name }) => name === role);
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={person === undefined ? t('grant') : `${t('grant')}: ${person.name}`}
      verb={t('grant')}
      consequence={t('grant_consequence')}
      isReady={
        chosen !== undefined &&
        role !== null &&
        (!isNarrowed || (labels !== undefined && Object.keys(labels).length > 0))
      }
      run={(key) => act('post', '/api/v2/grants', { key, body })}
      call={{ method: 'POST', path: '/api/v2/grants', body, idempotent: true }}
    >
      {person === undefined && <PersonSelect onChange={setChosen} />}
      <Select
        label={t('role')}
        required
        searchable
        data={roles.map(({ name }) => name)}
        value={role}
        onChange={setRole}
        {...(found === undefined ? {} : { description: found.description })}
      />
      <div>
        <Text size="xs" fw={500} mb={4}>
          {t('granted_for')}
        </Text>
        <SegmentedControl
          fullWidth
          aria-label={t('granted_for')}
          data={[
            { value: 'everything', label: t('everything') },
            { value: 'labels', label: t('what_carries_labels') },
          ]}
          value={isNarrowed ? 'labels' : 'everything'}
          onChange={(value) => setNarrowed(value === 'labels')}
        />
      </div>
      {isNarrowed && (
        <LabelsField label={t('labels')} about={t('grant_labels_about')} typed={typed} onChange={setTyped} />
      )}
    </ActDialog>
  );
}

function PersonSelect({
  onChange,
}: {
  onChange: (person: { id: string; name: string } | undefined) => void;
}) {
  const t = useAccessWords();
  const [typed, setTyped] = useState('');
  const [wanted] = useDebouncedValue(typed.trim(), TYPING_MS);
  const people = useQuery({
    queryKey: ['people-named', wanted],
    queryFn: () =>
      get('/api/v2/people', {
        query: { status: 'active', limit: 20, ...(wanted === '' ? {} : { q: wanted }) },
      }),
  });
  const known = people.data?.data ?? [];
  return (
    <Select
      label={t('person')}
      required
      searchable
      placeholder={t('person_hint')}
      nothingFoundMessage={t('nobody_found')}
      data={known.map(({ id, name, email }) => ({ value: id, label: `${name} · ${email}` }))}
      // The server looked for what was typed.
      filter={({ options }) => options}
      onSearchChange={(text) => setTyped(text.split(' · ')[0] ?? '')}
      onChange={(id) => onChange(known.find((person) => person.id === id))}
    />
  );
}
