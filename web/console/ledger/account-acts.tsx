/** Opening an account, editing what it is called and may do, closing it for good. */
import { Button, Checkbox, Radio, Select, Stack, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Lock, Pencil } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { type ActBody, act } from '../../api/act.ts';
import { type BodyOf, get, getTagged } from '../../api/client.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { AmountInput, parseAmount } from '../../ui/amount.tsx';
import { LabelsField, labelsOf } from '../../ui/labels.tsx';
import { useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useUiWords } from '../../ui/ui-words.ts';
import { useLedgerWords } from './ledger-words.ts';

type Account = BodyOf<'/api/v2/accounts/{account_id}'>;

const onAccount = '/api/v2/accounts/{account_id}';

const rules = ['rule_zero', 'rule_limit', 'rule_without'] as const;
type Rule = (typeof rules)[number];

/** How far below zero an account may go, as a form. */
interface RuleForm {
  rule: Rule;
  limit: string;
}

function formOf({ credit_limit }: Pick<Account, 'credit_limit'>): RuleForm {
  if (credit_limit === null) return { rule: 'rule_without', limit: '' };
  return parseAmount(credit_limit.amount, credit_limit.currency) === undefined
    ? { rule: 'rule_zero', limit: '' }
    : { rule: 'rule_limit', limit: credit_limit.amount };
}

/** The credit limit that a form says; undefined as long as it says none. */
function limitOf({ rule, limit }: RuleForm, currency: string): Account['credit_limit'] | undefined {
  if (rule === 'rule_without') return null;
  if (rule === 'rule_zero') return { amount: '0', currency };
  const amount = parseAmount(limit, currency);
  return amount === undefined ? undefined : { amount, currency };
}

function RuleFields({
  form,
  onChange,
  currency,
}: {
  form: RuleForm;
  onChange: (form: RuleForm) => void;
  currency: string | undefined;
}) {
  const t = useLedgerWords();
  return (
    <>
      <Radio.Group
        label={t('rule')}
        value={form.rule}
        onChange={(chosen) => onChange({ ...form, rule: rules.find((one) => one === chosen) ?? form.rule })}
      >
        <Stack gap={8} mt={4}>
          {rules.map((rule) => (
            <Radio key={rule} value={rule} label={t(rule)} />
          ))}
        </Stack>
      </Radio.Group>
      {form.rule === 'rule_limit' && (
        <AmountInput
          label={t('credit_limit')}
          typed={form.limit}
          onType={(limit) => onChange({ ...form, limit })}
          currency={currency}
        />
      )}
    </>
  );
}

function MayFields({
  send,
  receive,
  onSend,
  onReceive,
}: {
  send: boolean;
  receive: boolean;
  onSend: (may: boolean) => void;
  onReceive: (may: boolean) => void;
}) {
  const t = useLedgerWords();
  return (
    <>
      <Checkbox
        label={t('may_send')}
        checked={send}
        onChange={(event) => onSend(event.currentTarget.checked)}
      />
      <Checkbox
        label={t('may_receive')}
        checked={receive}
        onChange={(event) => onReceive(event.currentTarget.checked)}
      />
    </>
  );
}

/** Loaded when somebody wants to open an account, which few who look at the list do. */
export function OpenAccountDialog({ onClose }: { onClose: () => void }) {
  const t = useLedgerWords();
  const navigate = useNavigate();
  const may = useMay();
  const path = '/api/v2/accounts';
  const [name, setName] = useState('');
  const [currency, setCurrency] = useState('');
  const [chartCode, setChartCode] = useState('');
  const [form, setForm] = useState<RuleForm>({ rule: 'rule_zero', limit: '' });
  const [send, setSend] = useState(true);
  const [receive, setReceive] = useState(true);
  const [labels, setLabels] = useState('');
  const chart = useQuery({
    queryKey: ['chart-of-accounts'],
    queryFn: () => get('/api/v2/chart-of-accounts'),
    enabled: may('chart_of_accounts:read'),
  });
  const isCurrency = /^[A-Z]{3}$/.test(currency);
  const limit = isCurrency ? limitOf(form, currency) : undefined;
  const metadata = labelsOf(labels);
  const body: ActBody<typeof path, 'post'> = {
    name: name.trim(),
    currency,
    chart_code: chartCode,
    ...(form.rule === 'rule_zero' || limit === undefined ? {} : { credit_limit: limit }),
    ...(send ? {} : { may_send: false }),
    ...(receive ? {} : { may_receive: false }),
    ...(metadata === undefined || Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('open_account')}
      consequence={t('open_consequence')}
      verb={t('open_account')}
      isReady={
        body.name !== '' && chartCode !== '' && limit !== undefined && metadata !== undefined && isCurrency
      }
      run={(key) => act('post', path, { body, key })}
      call={{ method: 'POST', path, body, idempotent: true }}
      onDone={({ id }) => void navigate(`/accounts/${id}`)}
    >
      <TextInput
        label={t('name')}
        required
        maxLength={255}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label={t('currency')}
        required
        maxLength={3}
        placeholder="BRL"
        value={currency}
        onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
      />
      {chart.data === undefined ? (
        <TextInput
          label={t('chart_code')}
          required
          value={chartCode}
          onChange={(event) => setChartCode(event.currentTarget.value.trim())}
        />
      ) : (
        <Select
          label={t('chart_code')}
          required
          searchable
          data={chart.data.data.map((heading) => ({
            value: heading.code,
            label: `${heading.code} · ${heading.name} (${t(heading.type)})`,
          }))}
          value={chartCode === '' ? null : chartCode}
          onChange={(code) => setChartCode(code ?? '')}
        />
      )}
      <RuleFields form={form} onChange={setForm} currency={isCurrency ? currency : undefined} />
      <MayFields send={send} receive={receive} onSend={setSend} onReceive={setReceive} />
      <LabelsField label={t('labels')} typed={labels} onChange={setLabels} />
    </ActDialog>
  );
}

export function EditAccountButton({ account }: { account: Account }) {
  const ui = useUiWords();
  if (account.status === 'closed') return null;
  return (
    <FormButton permission="accounts:edit" label={ui('edit')} icon={<Pencil size={14} />}>
      {(close) => <LoadedEditDialog id={account.id} onClose={close} />}
    </FormButton>
  );
}

/** The version that is edited is the one that is shown: if another was saved meanwhile, this one is refused. */
function LoadedEditDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [key] = useState(() => ['account-to-edit', id, crypto.randomUUID()]);
  const found = useQuery({
    queryKey: key,
    queryFn: () => getTagged(onAccount, { ids: { account_id: id } }),
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (found.isError) return <Refused error={found.error} />;
  if (found.data === undefined) return <Loading />;
  return <EditDialog account={found.data.body} etag={found.data.etag} onClose={onClose} />;
}

function EditDialog({ account, etag, onClose }: { account: Account; etag: string; onClose: () => void }) {
  const t = useLedgerWords();
  const ui = useUiWords();
  const before = Object.entries(account.metadata)
    .map(([label, value]) => `${label}=${value}`)
    .join('\n');
  const [name, setName] = useState(account.name);
  const [form, setForm] = useState(() => formOf(account));
  const [send, setSend] = useState(account.may_send);
  const [receive, setReceive] = useState(account.may_receive);
  const [labels, setLabels] = useState(before);
  const ids = { account_id: account.id };
  const limit = limitOf(form, account.currency);
  const metadata = labelsOf(labels);
  const first = formOf(account);
  // Only what was changed: what others may see masked is not written back.
  const body = {
    ...(name.trim() === account.name ? {} : { name: name.trim() }),
    ...((form.rule === first.rule && form.limit === first.limit) || limit === undefined
      ? {}
      : { credit_limit: limit }),
    ...(send === account.may_send ? {} : { may_send: send }),
    ...(receive === account.may_receive ? {} : { may_receive: receive }),
    ...(labels === before || metadata === undefined ? {} : { metadata }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={`${ui('edit')}: ${account.name}`}
      consequence={t('edit_consequence')}
      verb={ui('save')}
      isReady={
        name.trim() !== '' && limit !== undefined && metadata !== undefined && Object.keys(body).length > 0
      }
      run={() => act('patch', onAccount, { ids, body, if_match: etag })}
      call={{ method: 'PATCH', path: onAccount, ids, body }}
    >
      <TextInput
        label={t('name')}
        required
        maxLength={255}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <RuleFields form={form} onChange={setForm} currency={account.currency} />
      <MayFields send={send} receive={receive} onSend={setSend} onReceive={setReceive} />
      <LabelsField label={t('labels')} typed={labels} onChange={setLabels} />
    </ActDialog>
  );
}

export function CloseAccountButton({ account }: { account: Account }) {
  const t = useLedgerWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  if (account.status === 'closed' || !may('accounts:close')) return null;
  const path = '/api/v2/accounts/{account_id}/close';
  const ids = { account_id: account.id };
  return (
    <>
      <Button variant="default" leftSection={<Lock size={14} />} onClick={open}>
        {t('close_account')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={`${t('close_account')}: ${account.name}`}
        consequence={t('close_consequence')}
        verb={t('close_account')}
        danger={{ final: 'accounts:close' }}
        run={(key) => act('post', path, { ids, key })}
        call={{ method: 'POST', path, ids }}
      />
    </>
  );
}
