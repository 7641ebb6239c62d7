/** Says that an action needs a second person: always, or above an amount in each currency. */
import { Button, Group, NumberInput, Select, TextInput } from '@mantine/core';
import { Plus, X } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { useSelf } from '../../ui/self.tsx';
import { useApprovalsWords } from './approvals-words.ts';

export const PATH = '/api/v2/approval-policies/{action}';
type Policy = BodyOf<typeof PATH>;

interface Line {
  id: string;
  currency: string;
  amount: string;
}

const freshLine = (): Line => ({ id: crypto.randomUUID(), currency: '', amount: '' });

/** @param props.asked the action that it is to be about */
export function PolicyDialog({
  edited,
  asked = null,
  onClose,
}: {
  edited?: { policy: Policy; etag: string };
  asked?: string | null;
  onClose: () => void;
}) {
  const t = useApprovalsWords();
  const { permissions } = useSelf();
  const before = edited?.policy;
  const [action, setAction] = useState(before?.action ?? asked);
  const [lines, setLines] = useState<Line[]>(
    () => before?.above?.map(({ amount, currency }) => ({ id: currency, currency, amount })) ?? [],
  );
  const [hours, setHours] = useState<number | string>((before?.expires_in_s ?? 3 * 86_400) / 3_600);
  const above = lines.map(({ currency, amount }) => ({ amount: amount.trim().replace(',', '.'), currency }));
  const body = {
    ...(above.length === 0 ? {} : { above }),
    expires_in_s: Math.round(Number(hours) * 3_600),
  };
  const ids = { action: action ?? '' };
  const change = (line: string, changes: Partial<Line>) =>
    setLines((all) => all.map((one) => (one.id === line ? { ...one, ...changes } : one)));
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={before === undefined ? t('make_policy') : `${t('edit')}: ${before.action}`}
      verb={t('save')}
      consequence={t('policy_consequence')}
      isReady={
        action !== null &&
        Number(hours) > 0 &&
        above.every(({ amount, currency }) => amount !== '' && currency.length === 3)
      }
      run={() => act('put', PATH, { ids, body, ...(edited === undefined ? {} : { if_match: edited.etag }) })}
      call={{ method: 'PUT', path: PATH, ids, body }}
    >
      {before === undefined && (
        <Select
          label={t('action')}
          description={t('action_about')}
          required
          searchable
          data={[...permissions].filter((permission) => !permission.endsWith(':read'))}
          value={action}
          onChange={setAction}
        />
      )}
      {lines.map((line) => (
        <Group key={line.id} gap="xs" align="flex-end" wrap="nowrap">
          <TextInput
            label={t('currency')}
            w={90}
            maxLength={3}
            value={line.currency}
            onChange={(event) => change(line.id, { currency: event.currentTarget.value.toUpperCase() })}
          />
          <TextInput
            label={t('waits_above')}
            inputMode="decimal"
            style={{ flex: 1 }}
            value={line.amount}
            onChange={(event) => change(line.id, { amount: event.currentTarget.value })}
          />
          <Button
            variant="subtle"
            color="gray"
            px={6}
            aria-label={`${t('remove')} ${line.currency}`}
            onClick={() => setLines((all) => all.filter((one) => one.id !== line.id))}
          >
            <X size={14} />
          </Button>
        </Group>
      ))}
      <Group>
        <Button
          variant="default"
          leftSection={<Plus size={14} />}
          onClick={() => setLines((all) => [...all, freshLine()])}
        >
          {t(lines.length === 0 ? 'only_above' : 'another_currency')}
        </Button>
      </Group>
      <NumberInput
        label={t('expires_after_hours')}
        description={t('expires_after_about')}
        required
        min={1}
        max={90 * 24}
        value={hours}
        onChange={setHours}
      />
    </ActDialog>
  );
}
