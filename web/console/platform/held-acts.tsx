import { RotateCw } from 'lucide-react';
import { act } from '../../api/act.ts';
import { ActButton } from '../../ui/act-button.tsx';
import { usePlatformWords } from './platform-words.ts';

const PATH = '/api/v2/consumers/{consumer}/held-events/{event_id}/redrive';

/** Lets a held event be tried again at once. */
export function RedriveButton({ consumer, event_id }: { consumer: string; event_id: string }) {
  const t = usePlatformWords();
  const ids = { consumer, event_id };
  return (
    <ActButton
      permission="held_events:redrive"
      icon={<RotateCw size={14} />}
      title={`${t('redrive')}: ${consumer}`}
      verb={t('redrive')}
      consequence={t('redrive_consequence')}
      run={(key) => act('post', PATH, { ids, key })}
      call={{ method: 'POST', path: PATH, ids }}
    />
  );
}
