/** Making a transfer: first what would happen, by a dry run, then the posting itself. */
import { Alert, Anchor, Button, Group, SimpleGrid, Stack, Table, TextInput, Title } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { type ActBody, act } from '../../api/act.ts';
import { ApiProblem, get } from '../../api/client.ts';
import { AccountSelect, type ChosenAccount } from '../../ui/account-select.tsx';
import { tellProposed } from '../../ui/act-dialog.tsx';
import { AmountInput, parseAmount } from '../../ui/amount.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section } from '../../ui/facts.tsx';
import { Money } from '../../ui/figures.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Refused } from '../../ui/states.tsx';
import { useUiWords } from '../../ui/ui-words.ts';
import { AccountLink } from './account-link.tsx';
import { useLedgerWords } from './ledger-words.ts';
import { WhatStoodAgainst } from './refusal.tsx';

type Transfer = ActBody<'/api/v2/transfers', 'post'>;

export function Page() {
  return (
    <Permitted permission="transfers:post">
      <NewTransfer />
    </Permitted>
  );
}

function NewTransfer() {
  const t = useLedgerWords();
  const ui = useUiWords();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [search] = useSearchParams();
  const from = search.get('from') ?? '';
  const [debited, chooseDebited] = useState<ChosenAccount | null>(null);
  const [credited, chooseCredited] = useState<ChosenAccount | null>(null);
  const [amount, setAmount] = useState('');
  const [description, setDescription] = useState('');
  const [effectiveDate, setEffectiveDate] = useState('');
  const [key, setKey] = useState(() => crypto.randomUUID());
  const [refusedKey, setRefusedKey] = useState<string>();
  const may = useMay();
  // From the page of an account that account is debited, until another one is chosen.
  const given = useQuery({
    queryKey: ['account', from],
    enabled: from !== '',
    queryFn: () => get('/api/v2/accounts/{account_id}', { ids: { account_id: from } }),
  });
  const source = debited ?? given.data ?? null;
  const currency = source?.currency ?? credited?.currency;
  const parsed = currency === undefined ? undefined : parseAmount(amount, currency);

  const body: Transfer | undefined =
    source === null || credited === null || parsed === undefined || currency === undefined
      ? undefined
      : {
          debit_account_id: source.id,
          credit_account_id: credited.id,
          amount: { amount: parsed, currency },
          ...(description.trim() === '' ? {} : { description: description.trim() }),
          ...(effectiveDate === '' ? {} : { effective_date: effectiveDate }),
        };

  const rehearsal = useMutation({
    mutationFn: (wanted: Transfer) =>
      act('post', '/api/v2/transfers', {
        body: wanted,
        key: crypto.randomUUID(),
        query: { dry_run: 'true' },
      }),
  });
  const posting = useMutation({
    mutationFn: (wanted: Transfer) => act('post', '/api/v2/transfers', { body: wanted, key }),
    onSuccess: (outcome) => {
      setKey(crypto.randomUUID());
      void queries.invalidateQueries();
      if (outcome.kind === 'proposed') {
        tellProposed(outcome.proposal.id, ui);
        void navigate(`/approvals/${outcome.proposal.id}`);
      } else void navigate(`/transfers/${outcome.answer.id}`);
    },
    onError: (error) => {
      // As in act-dialog.tsx: what nobody answered is asked for again under the same key.
      if (!(error instanceof ApiProblem) || error.problem.status >= 500) return;
      // What a rule of the ledger refused is kept under the key.
      setRefusedKey(error.problem.status === 422 && may('attempts:read') ? key : undefined);
      setKey(crypto.randomUUID());
    },
  });
  /** What was shown is of no use any more. */
  const forget =
    <Value,>(set: (value: Value) => void) =>
    (value: Value) => {
      rehearsal.reset();
      posting.reset();
      set(value);
    };
  const rehearsed = rehearsal.data?.kind === 'done' ? rehearsal.data.answer : undefined;
  const needsApproval = rehearsal.data?.kind === 'proposed';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (body === undefined) return;
    if (rehearsal.isSuccess) posting.mutate(body);
    else rehearsal.mutate(body);
  };
  return (
    <Stack gap="sm" maw={760}>
      <title>{`${t('new_transfer')} · financialapi`}</title>
      <Group justify="space-between">
        <Title order={1} size="h3">
          {t('new_transfer')}
        </Title>
        {body !== undefined && (
          <ApiCallButton calls={[{ method: 'POST', path: '/api/v2/transfers', body, idempotent: true }]} />
        )}
      </Group>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Section>
            <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
              <AccountSelect label={t('debit_account')} value={source} onChange={forget(chooseDebited)} />
              <AccountSelect
                label={t('credit_account')}
                value={credited}
                onChange={forget(chooseCredited)}
                currency={source?.currency}
              />
              <AmountInput
                label={t('amount')}
                typed={amount}
                onType={forget(setAmount)}
                currency={currency}
              />
              <TextInput
                label={t('date')}
                type="date"
                inputWrapperOrder={['label', 'input', 'description']}
                value={effectiveDate}
                onChange={(event) => forget(setEffectiveDate)(event.currentTarget.value)}
                description={t('date_about')}
              />
            </SimpleGrid>
            <TextInput
              label={t('description')}
              value={description}
              maxLength={500}
              onChange={(event) => forget(setDescription)(event.currentTarget.value)}
            />
          </Section>
          {rehearsal.isError && <RefusedTransfer error={rehearsal.error} request={rehearsal.variables} />}
          {posting.isError && (
            <>
              <RefusedTransfer error={posting.error} request={posting.variables} />
              {refusedKey !== undefined && (
                <Anchor component={Link} to={`/attempts/${refusedKey}`} size="sm">
                  {t('what_became_of_it')}
                </Anchor>
              )}
            </>
          )}
          {needsApproval && <Alert color="orange">{t('needs_approval')}</Alert>}
          {rehearsed !== undefined && (
            <Section title={t('would_happen')}>
              <Table fz="sm">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>{t('account')}</Table.Th>
                    <Table.Th ta="right">{t('debit')}</Table.Th>
                    <Table.Th ta="right">{t('credit')}</Table.Th>
                    <Table.Th ta="right">{t('running_balance')}</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {rehearsed.entries.map((entry) => (
                    <Table.Tr key={entry.leg}>
                      <Table.Td>
                        <AccountLink id={entry.account_id} />
                      </Table.Td>
                      <Table.Td ta="right">
                        {entry.side === 'debit' && <Money value={entry.amount} />}
                      </Table.Td>
                      <Table.Td ta="right">
                        {entry.side === 'credit' && <Money value={entry.amount} />}
                      </Table.Td>
                      <Table.Td ta="right">
                        <Money value={entry.balance} />
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Section>
          )}
          <Group justify="flex-end">
            <Button
              type="submit"
              disabled={body === undefined}
              loading={rehearsal.isPending || posting.isPending}
            >
              {t(rehearsal.isSuccess ? (needsApproval ? 'propose' : 'post_transfer') : 'see_first')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Stack>
  );
}

/** A refusal, and what stood against it. */
function RefusedTransfer({ error, request }: { error: unknown; request: Transfer | undefined }) {
  return (
    <>
      <Refused error={error} />
      {error instanceof ApiProblem && request !== undefined && (
        <WhatStoodAgainst problem={error.problem} request={request} />
      )}
    </>
  );
}
