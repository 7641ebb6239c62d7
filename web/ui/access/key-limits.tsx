/** How much money a key may move: what is set, what is left today, and setting it. */
import { Button, Group, Stack, Table, TagsInput, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Pencil, Plus, Trash2, X } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { ActButton, FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { Section } from '../facts.tsx';
import { DayText, Money } from '../figures.tsx';
import { Labels, LabelsField, labelsOf } from '../labels.tsx';
import { useMay } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { Loading, Refused } from '../states.tsx';
import { useAccessWords } from './access-words.ts';

type Limits = BodyOf<'/api/v2/api-keys/{key_id}/limits'>;

const PATH = '/api/v2/api-keys/{key_id}/limits';

export function KeyLimits({ id, hasLimits }: { id: string; hasLimits: boolean }) {
  const t = useAccessWords();
  const may = useMay();
  const ids = { key_id: id };
  const limits = useQuery({
    queryKey: ['key-limits', id],
    queryFn: () => get(PATH, { ids }),
    enabled: hasLimits && may('limits:read'),
  });
  if (!may('limits:read')) return null;
  const shown = hasLimits ? limits.data : undefined;
  return (
    <Section
      title={t('limits_of_money')}
      aside={
        (!hasLimits || shown !== undefined) && (
          <Group gap={6}>
            <FormButton
              permission="limits:edit"
              label={t(hasLimits ? 'edit_limits' : 'set_limits')}
              icon={<Pencil size={14} />}
            >
              {(close) => <LimitsDialog id={id} before={shown} onClose={close} />}
            </FormButton>
            {hasLimits && (
              <ActButton
                permission="limits:edit"
                icon={<Trash2 size={14} />}
                title={t('free_of_limits')}
                verb={t('free_of_limits')}
                consequence={t('free_of_limits_consequence')}
                danger="undoable"
                run={(key) => act('delete', PATH, { ids, key })}
                call={{ method: 'DELETE', path: PATH, ids }}
              />
            )}
          </Group>
        )
      }
    >
      {!hasLimits ? (
        <Text size="sm" c="dimmed">
          {t('no_limits_of_money')}
        </Text>
      ) : limits.isError ? (
        <Refused error={limits.error} retry={() => void limits.refetch()} />
      ) : shown === undefined ? (
        <Loading />
      ) : (
        <ShownLimits limits={shown} />
      )}
    </Section>
  );
}

function ShownLimits({ limits }: { limits: Limits }) {
  const t = useAccessWords();
  return (
    <Stack gap="xs">
      {limits.amounts.length > 0 && (
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('currency')}</Table.Th>
                <Table.Th ta="right">{t('per_transfer')}</Table.Th>
                <Table.Th ta="right">{t('per_day')}</Table.Th>
                <Table.Th ta="right">
                  {t('used_on')} <DayText date={limits.day} />
                </Table.Th>
                <Table.Th ta="right">{t('left')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {limits.amounts.map((amount) => (
                <Table.Tr key={amount.currency}>
                  <Table.Td>{amount.currency}</Table.Td>
                  <Table.Td ta="right">
                    <Money value={amount.per_transfer} />
                  </Table.Td>
                  <Table.Td ta="right">
                    <Money value={amount.per_day} />
                  </Table.Td>
                  <Table.Td ta="right">
                    <Money value={amount.used_today} />
                  </Table.Td>
                  <Table.Td ta="right">
                    <Money value={amount.left_today} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {limits.accounts !== undefined && (
        <div>
          <Text size="xs" c="dimmed">
            {t('from_accounts')}
          </Text>
          <Group gap="xs">
            {limits.accounts.map((account) => (
              <IdLink key={account} id={account} short />
            ))}
          </Group>
        </div>
      )}
      {limits.labels !== undefined && (
        <div>
          <Text size="xs" c="dimmed">
            {t('from_labelled')}
          </Text>
          <Labels labels={limits.labels} />
        </div>
      )}
    </Stack>
  );
}

interface Line {
  id: string;
  currency: string;
  per_transfer: string;
  per_day: string;
}

const freshLine = (): Line => ({ id: crypto.randomUUID(), currency: '', per_transfer: '', per_day: '' });

function LimitsDialog({
  id,
  before,
  onClose,
}: {
  id: string;
  before: Limits | undefined;
  onClose: () => void;
}) {
  const t = useAccessWords();
  const ids = { key_id: id };
  const [lines, setLines] = useState<Line[]>(() =>
    before === undefined
      ? [freshLine()]
      : before.amounts.map(({ currency, per_transfer, per_day }) => ({
          id: currency,
          currency,
          per_transfer: per_transfer?.amount ?? '',
          per_day: per_day?.amount ?? '',
        })),
  );
  const [accounts, setAccounts] = useState(before?.accounts ?? []);
  const [typed, setTyped] = useState(
    Object.entries(before?.labels ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
  );
  const labels = labelsOf(typed);
  const edit = (line: string, change: Partial<Line>) =>
    setLines((all) => all.map((one) => (one.id === line ? { ...one, ...change } : one)));
  const moneyOf = (amount: string, currency: string) => ({ amount: amount.trim(), currency });
  const body = {
    amounts: lines
      .filter(({ per_transfer, per_day }) => `${per_transfer}${per_day}`.trim() !== '')
      .map(({ currency, per_transfer, per_day }) => ({
        currency: currency.trim(),
        ...(per_transfer.trim() === '' ? {} : { per_transfer: moneyOf(per_transfer, currency.trim()) }),
        ...(per_day.trim() === '' ? {} : { per_day: moneyOf(per_day, currency.trim()) }),
      })),
    ...(accounts.length === 0 ? {} : { accounts }),
    ...(labels === undefined || Object.keys(labels).length === 0 ? {} : { labels }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('limits_of_money')}
      verb={t('save')}
      consequence={t('set_limits_consequence')}
      isReady={
        labels !== undefined &&
        body.amounts.every(({ currency }) => currency !== '') &&
        (body.amounts.length > 0 || accounts.length > 0 || Object.keys(labels).length > 0)
      }
      run={(key) => act('put', PATH, { ids, key, body })}
      call={{ method: 'PUT', path: PATH, ids, body }}
    >
      {lines.map((line) => (
        <Group key={line.id} gap="xs" align="flex-end" wrap="nowrap">
          <TextInput
            label={t('currency')}
            w={90}
            maxLength={3}
            value={line.currency}
            onChange={(event) => edit(line.id, { currency: event.currentTarget.value.toUpperCase() })}
          />
          <TextInput
            label={t('per_transfer')}
            inputMode="decimal"
            style={{ flex: 1 }}
            value={line.per_transfer}
            onChange={(event) => edit(line.id, { per_transfer: event.currentTarget.value })}
          />
          <TextInput
            label={t('per_day')}
            inputMode="decimal"
            style={{ flex: 1 }}
            value={line.per_day}
            onChange={(event) => edit(line.id, { per_day: event.currentTarget.value })}
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
          {t('another_currency')}
        </Button>
      </Group>
      <TagsInput
        size="xs"
        label={t('from_accounts')}
        description={t('from_accounts_about')}
        placeholder="acc_…"
        value={accounts}
        onChange={setAccounts}
      />
      <LabelsField label={t('from_labelled')} typed={typed} onChange={setTyped} />
    </ActDialog>
  );
}
