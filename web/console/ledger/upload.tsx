/** Posting a file of transfers: read and checked here, sent in batches, with what became of each line. */
import {
  Alert,
  Anchor,
  Badge,
  Button,
  FileInput,
  Group,
  Pagination,
  Progress,
  SegmentedControl,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { CircleCheck, Download, FileUp, TriangleAlert } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'react-router';
import { save } from '../../api/download.ts';
import { Facts, Section } from '../../ui/facts.tsx';
import { moneyText } from '../../ui/figures.tsx';
import { Permitted, useSelf } from '../../ui/self.tsx';
import { Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { amountOf } from './legs.ts';
import {
  columns,
  type Line,
  MOST_LINES,
  type ReadFile,
  readTransfers,
  UnreadableFile,
} from './upload-file.ts';
import { type LineOutcome, sendTransfers } from './upload-send.ts';
import { useUploadWords } from './upload-words.ts';

const ON_PAGE = 50;

export function Page() {
  const t = useUploadWords();
  return (
    <Stack gap="sm">
      <title>{`${t('upload')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('upload')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('about')}
      </Text>
      <Permitted permission="transfers:post">
        <Upload />
      </Permitted>
    </Stack>
  );
}

async function csvOf(header: readonly string[], rows: readonly (readonly string[])[]): Promise<Blob> {
  const { stringify } = await import('csv-stringify/browser/esm/sync');
  const text = stringify([...rows], { header: true, columns: [...header], escape_formulas: true, bom: true });
  return new Blob([text], { type: 'text/csv' });
}

/** A file of its form with one line, whose accounts are to be replaced. */
async function saveTemplate(): Promise<void> {
  const ids = ['acc_01h455vb4pex5vsknk084sn02q', 'acc_01h455vb4pex5vsknk084sn02r'];
  save(
    await csvOf(columns, [[...ids, '12.50', 'BRL', 'Invoice 1042', 'INV-1042', '']]),
    'transfers-template.csv',
  );
}

function Upload() {
  const t = useUploadWords();
  const [file, setFile] = useState<File | null>(null);
  const [run, setRun] = useState('');
  const reading = useMutation({ mutationFn: async (chosen: File) => readTransfers(await chosen.text()) });
  const choose = (chosen: File | null) => {
    setFile(chosen);
    reading.reset();
    if (chosen !== null) reading.mutate(chosen);
  };
  const error = reading.error;
  return (
    <>
      <Section>
        <Group align="flex-end" gap="xs">
          <FileInput
            label={t('file')}
            placeholder={t('choose_file')}
            accept=".csv,text/csv,text/plain"
            leftSection={<FileUp size={14} />}
            clearable
            clearButtonProps={{ 'aria-label': t('clear_file') }}
            value={file}
            onChange={choose}
            w={{ base: '100%', xs: 320 }}
          />
          <TextInput
            label={t('run')}
            description={t('run_about')}
            value={run}
            maxLength={40}
            error={/^[A-Za-z0-9._-]*$/.test(run) ? undefined : t('run_wrong')}
            onChange={(event) => setRun(event.currentTarget.value.trim())}
            w={{ base: '100%', xs: 320 }}
          />
          <Button variant="default" leftSection={<Download size={14} />} onClick={() => void saveTemplate()}>
            {t('template')}
          </Button>
        </Group>
        <Text size="xs" c="dimmed">
          {t('columns_about', { columns: columns.join(', '), most: MOST_LINES })}
        </Text>
      </Section>
      {error !== null &&
        (error instanceof UnreadableFile ? (
          <Alert color="red" variant="light" role="alert" icon={<TriangleAlert size={18} />}>
            {t(error.word, error.values)}
          </Alert>
        ) : (
          <Refused error={error} />
        ))}
      {reading.data !== undefined && (
        <Checked
          key={`${reading.data.hash} ${run}`}
          read={reading.data}
          run={/^[A-Za-z0-9._-]*$/.test(run) ? run : ''}
        />
      )}
    </>
  );
}

/** How much moves, for each currency. */
function useTotals(lines: readonly Line[]): string {
  const locale = useLocale();
  const byCurrency = Map.groupBy(
    lines.flatMap(({ transfer }) => (transfer?.amount === undefined ? [] : [transfer.amount])),
    ({ currency }) => currency,
  );
  return [...byCurrency.values()]
    .map((amounts) =>
      moneyText(
        amountOf({
          entries: amounts.map((amount, index) => ({
            leg: index + 1,
            account_id: '',
            side: 'debit',
            amount,
            balance: amount,
          })),
        }),
        locale,
      ),
    )
    .join(' · ');
}

function Checked({ read, run }: { read: ReadFile; run: string }) {
  const t = useUploadWords();
  const { environment } = useSelf();
  const queries = useQueryClient();
  const locale = useLocale();
  const { lines } = read;
  const wrong = lines.filter(({ faults }) => faults.length > 0);
  const totals = useTotals(lines);
  const [outcomes, setOutcomes] = useState<LineOutcome[]>([]);
  const [isRehearsal, setRehearsal] = useState(false);
  const running = useRef<AbortController>(null);
  // Whoever leaves the page stops it after the batch that is under way.
  useEffect(() => () => running.current?.abort(), []);
  const sending = useMutation({
    mutationFn: async ({ dry_run, from }: { dry_run: boolean; from: number }) => {
      const controller = new AbortController();
      running.current = controller;
      setRehearsal(dry_run);
      setOutcomes((before) => before.slice(0, from));
      await sendTransfers(
        {
          hash: read.hash,
          run,
          transfers: lines.flatMap(({ transfer }) => (transfer === undefined ? [] : [transfer])),
          dry_run,
          signal: controller.signal,
          onOutcomes: (more) => setOutcomes((before) => [...before, ...more]),
        },
        from,
      );
    },
    onSettled: () => {
      if (!isRehearsal) void queries.invalidateQueries();
    },
  });
  useEffect(() => {
    if (!sending.isPending) return undefined;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [sending.isPending]);
  const isDone = outcomes.length === lines.length && !sending.isPending;
  const isSent = isDone && !isRehearsal;
  return (
    <>
      <Section title={t('what_is_in_it')}>
        <Facts
          facts={[
            [t('lines'), lines.length.toLocaleString(locale)],
            [t('wrong_lines'), wrong.length.toLocaleString(locale)],
            [t('total'), totals === '' ? '–' : totals],
          ]}
        />
        {wrong.length > 0 ? (
          <WrongLines lines={wrong} />
        ) : (
          <>
            <Text size="sm">{t('consequence')}</Text>
            <Group gap="xs" justify="flex-end">
              <Button
                variant="default"
                loading={sending.isPending && isRehearsal}
                disabled={sending.isPending || isSent}
                onClick={() => sending.mutate({ dry_run: true, from: 0 })}
              >
                {t('rehearse')}
              </Button>
              <Button
                loading={sending.isPending && !isRehearsal}
                disabled={sending.isPending || isSent}
                {...(environment === 'live' ? { color: 'red' } : {})}
                onClick={() => sending.mutate({ dry_run: false, from: isRehearsal ? 0 : outcomes.length })}
              >
                {sending.isError && !isRehearsal ? t('go_on') : t('post', { count: lines.length })}
              </Button>
            </Group>
          </>
        )}
      </Section>
      {sending.isError && <Refused error={sending.error} />}
      {(sending.isPending || outcomes.length > 0) && (
        <Outcomes lines={lines} outcomes={outcomes} isRehearsal={isRehearsal} isDone={isDone} />
      )}
    </>
  );
}

function WrongLines({ lines }: { lines: readonly Line[] }) {
  const t = useUploadWords();
  const [page, setPage] = useState(1);
  return (
    <>
      <Alert color="orange" variant="light" icon={<TriangleAlert size={18} />}>
        {t('mend_first')}
      </Alert>
      <Table.ScrollContainer minWidth={460}>
        <Table fz="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('line')}</Table.Th>
              <Table.Th>{t('whats_wrong')}</Table.Th>
              <Table.Th>{t('as_it_stands')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {lines.slice((page - 1) * ON_PAGE, page * ON_PAGE).map(({ number, faults, cells }) => (
              <Table.Tr key={number}>
                <Table.Td>{number}</Table.Td>
                <Table.Td>{faults.map((fault) => t(fault)).join('; ')}</Table.Td>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>
                  <Text size="xs" c="dimmed" lineClamp={2}>
                    {columns.map((name) => cells[name]).join(', ')}
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Pages count={lines.length} page={page} onChange={setPage} />
    </>
  );
}

function Pages({ count, page, onChange }: { count: number; page: number; onChange: (page: number) => void }) {
  const t = useUploadWords();
  const total = Math.ceil(count / ON_PAGE);
  return total < 2 ? null : (
    <Pagination
      total={total}
      value={page}
      onChange={onChange}
      getControlProps={(control) => ({ 'aria-label': t(control) })}
      getItemProps={(item) => ({ 'aria-label': t('page', { page: item }) })}
    />
  );
}

const colors = { posted: 'teal', refused: 'red', proposed: 'orange' } as const;

function Outcomes({
  lines,
  outcomes,
  isRehearsal,
  isDone,
}: {
  lines: readonly Line[];
  outcomes: readonly LineOutcome[];
  isRehearsal: boolean;
  isDone: boolean;
}) {
  const t = useUploadWords();
  const locale = useLocale();
  const [shown, setShown] = useState<'all' | 'refused'>('all');
  const [page, setPage] = useState(1);
  const count = (kind: LineOutcome['kind']) => outcomes.filter((one) => one.kind === kind).length;
  const [posted, refused, proposed] = [count('posted'), count('refused'), count('proposed')];
  const again = outcomes.filter((one) => one.kind !== 'proposed' && one.replayed).length;
  const rows = outcomes.flatMap((outcome, index) => {
    const line = lines[index];
    return line === undefined || (shown === 'refused' && outcome.kind !== 'refused')
      ? []
      : [{ line, outcome }];
  });
  const wordOf = (outcome: LineOutcome) =>
    t(
      isRehearsal
        ? `would_be_${outcome.kind}`
        : outcome.kind === 'posted' && outcome.replayed
          ? 'posted_before'
          : outcome.kind,
    );
  const saveResult = async () => {
    const cells = lines.map((line, index) => {
      const outcome = outcomes[index];
      return [
        ...columns.map((name) => line.cells[name]),
        outcome?.kind ?? '',
        outcome?.kind === 'posted' && !isRehearsal ? outcome.transfer_id : '',
        outcome?.kind === 'refused' ? outcome.code : '',
        outcome?.kind === 'refused' ? outcome.detail : '',
      ];
    });
    const header = [...columns, 'outcome', 'transfer_id', 'code', 'detail'];
    save(await csvOf(header, cells), 'transfers-result.csv');
  };
  const saveRefused = async () => {
    const cells = lines
      .filter((_, index) => outcomes[index]?.kind === 'refused')
      .map((line) => columns.map((name) => line.cells[name]));
    save(await csvOf(columns, cells), 'transfers-refused.csv');
  };
  return (
    <Section
      title={t(isRehearsal ? 'would_become' : 'became')}
      aside={
        <Group gap="xs">
          {refused > 0 && isDone && (
            <Button variant="default" leftSection={<Download size={14} />} onClick={() => void saveRefused()}>
              {t('refused_csv')}
            </Button>
          )}
          <Button
            variant="default"
            leftSection={<Download size={14} />}
            disabled={!isDone}
            onClick={() => void saveResult()}
          >
            {t('result_csv')}
          </Button>
        </Group>
      }
    >
      {!isDone && (
        <Progress
          value={(100 * outcomes.length) / lines.length}
          animated
          aria-label={t('progress', { done: outcomes.length, of: lines.length })}
        />
      )}
      <Group gap="xs" role="status">
        {isDone && refused === 0 && <CircleCheck size={18} color="var(--mantine-color-teal-6)" aria-hidden />}
        <Text size="sm">
          {t(isRehearsal ? 'would_sum' : 'sum', {
            posted: posted.toLocaleString(locale),
            refused: refused.toLocaleString(locale),
            proposed: proposed.toLocaleString(locale),
            of: lines.length.toLocaleString(locale),
          })}
        </Text>
      </Group>
      {again > 0 && (
        <Alert color="blue" variant="light">
          {t('sent_before', { count: again.toLocaleString(locale) })}
        </Alert>
      )}
      {isRehearsal && (
        <Text size="xs" c="dimmed">
          {t('rehearsal_about')}
        </Text>
      )}
      {refused > 0 && (
        <SegmentedControl
          aria-label={t('show')}
          style={{ alignSelf: 'flex-start' }}
          data={(['all', 'refused'] as const).map((value) => ({ value, label: t(`show_${value}`) }))}
          value={shown}
          onChange={(value) => {
            setShown(value === 'refused' ? 'refused' : 'all');
            setPage(1);
          }}
        />
      )}
      <Table.ScrollContainer minWidth={520}>
        <Table fz="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('line')}</Table.Th>
              <Table.Th>{t('description')}</Table.Th>
              <Table.Th ta="right">{t('amount')}</Table.Th>
              <Table.Th>{t('outcome')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.slice((page - 1) * ON_PAGE, page * ON_PAGE).map(({ line, outcome }) => (
              <Table.Tr key={line.number}>
                <Table.Td>{line.number}</Table.Td>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>
                  {[line.cells.description, line.cells.reference].filter((text) => text !== '').join(' · ')}
                </Table.Td>
                <Table.Td ta="right" style={{ whiteSpace: 'nowrap' }}>
                  {line.transfer?.amount === undefined ? '' : moneyText(line.transfer.amount, locale)}
                </Table.Td>
                <Table.Td>
                  <Group gap="xs">
                    <Badge size="sm" variant="light" color={colors[outcome.kind]}>
                      {wordOf(outcome)}
                    </Badge>
                    {outcome.kind === 'posted' && !isRehearsal && (
                      <Anchor component={Link} to={`/transfers/${outcome.transfer_id}`} size="xs">
                        …{outcome.transfer_id.slice(-6)}
                      </Anchor>
                    )}
                    {outcome.kind === 'proposed' && outcome.proposal_id !== '' && (
                      <Anchor component={Link} to={`/approvals/${outcome.proposal_id}`} size="xs">
                        {t('see_proposal')}
                      </Anchor>
                    )}
                    {outcome.kind === 'refused' && <Text size="xs">{outcome.detail}</Text>}
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Pages count={rows.length} page={page} onChange={setPage} />
    </Section>
  );
}
