/** Says of what takes something away whether it can be undone, and where not, whether somebody else is asked first. */
import { Anchor, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { TriangleAlert, Undo2 } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { get } from '../api/client.ts';
import { useMay } from './self.tsx';
import { usePlace } from './shell/place.ts';
import { useUiWords } from './ui-words.ts';

/**
 * `undoable`: the consequence says by what. `final`: it stands, and no policy can be about it. Else the permission about
 * which a policy can say that a second person has to approve.
 */
export type Danger = 'undoable' | 'final' | { final: string };

export function CanItBeUndone({ danger }: { danger: Danger }) {
  const t = useUiWords();
  if (danger === 'undoable') {
    return (
      <Line icon={<Undo2 size={16} aria-hidden />} color="dimmed">
        {t('can_be_undone')}
      </Line>
    );
  }
  return (
    <Line icon={<TriangleAlert size={16} aria-hidden />} color="var(--mantine-color-error)">
      <b>{t('cannot_be_undone')}</b> {danger !== 'final' && <SecondPerson action={danger.final} />}
    </Line>
  );
}

function Line({ icon, color, children }: { icon: ReactNode; color: string; children: ReactNode }) {
  return (
    <Group gap={6} wrap="nowrap" align="flex-start" c={color}>
      <span style={{ flexShrink: 0, marginTop: 2 }}>{icon}</span>
      <Text size="sm">{children}</Text>
    </Group>
  );
}

function SecondPerson({ action }: { action: string }) {
  const t = useUiWords();
  const may = useMay();
  const { base } = usePlace();
  const own = useQuery({ queryKey: ['self', 'approvals'], queryFn: () => get('/api/v2/self/approvals') });
  // Whoever cannot be told does it knowing that it cannot be undone.
  if (own.data === undefined) return null;
  const policy = own.data.data.find((one) => one.action === action);
  if (policy !== undefined) return t(policy.above === undefined ? 'second_person' : 'second_person_above');
  if (base !== '/console' || !may('approval_policies:edit')) return t('no_second_person');
  return (
    <>
      {t('no_second_person')}{' '}
      <Anchor component={Link} to={`/approval-policies?ask=${action}`} size="sm" underline="always">
        {t('ask_second_person')}
      </Anchor>
    </>
  );
}
