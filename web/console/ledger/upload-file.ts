/** Reading a file of transfers: each line is one, and what is wrong with it is found before anything is sent. */
import type { ActBody } from '../../api/act.ts';
import { parseAmount } from '../../ui/amount.tsx';

type Batch = ActBody<'/api/v2/transfers/batch', 'post'>;
export type UploadedTransfer = Batch['transfers'][number];

export const columns = [
  'from',
  'to',
  'amount',
  'currency',
  'description',
  'reference',
  'effective_date',
] as const;
type Column = (typeof columns)[number];
const required = ['from', 'to', 'amount', 'currency'] as const;

/** As many as somebody can answer for at once. */
export const MOST_LINES = 50_000;

/** What is wrong with a line, as a word that is said on the screen. */
type Fault =
  | 'fault_from'
  | 'fault_to'
  | 'fault_same'
  | 'fault_amount'
  | 'fault_currency'
  | 'fault_description'
  | 'fault_reference'
  | 'fault_reference_twice'
  | 'fault_date';

export interface Line {
  /** In the file, whose first line names the columns. */
  number: number;
  cells: Readonly<Record<Column, string>>;
  faults: Fault[];
  transfer: UploadedTransfer | undefined;
}

export interface ReadFile {
  lines: Line[];
  /** Of what was read, not of how it was written: the same transfers in the same order have the same one. */
  hash: string;
}

/** Why a file cannot be read at all. */
export class UnreadableFile extends Error {
  readonly word: 'file_empty' | 'file_too_long' | 'file_columns' | 'file_broken';
  readonly values: Readonly<Record<string, string>>;
  constructor(word: UnreadableFile['word'], values: Readonly<Record<string, string>> = {}) {
    super(word);
    this.word = word;
    this.values = values;
  }
}

const ACCOUNT_ID = /^acc_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const currencies = new Set(Intl.supportedValuesOf('currency'));

/** @throws UnreadableFile */
export async function readTransfers(text: string): Promise<ReadFile> {
  const { parse } = await import('csv-parse/browser/esm/sync');
  const [head = ''] = text.split('\n', 1);
  // Spreadsheets of places that write a decimal comma put semicolons between cells.
  const delimiter = [';', '\t', ','].find((one) => head.includes(one)) ?? ',';
  let rows: string[][];
  try {
    rows = parse(text, {
      bom: true,
      delimiter,
      skip_empty_lines: true,
      trim: true,
      relax_column_count: true,
    });
  } catch (error) {
    throw new UnreadableFile('file_broken', {
      reason: error instanceof Error ? error.message : String(error),
    });
  }
  const [header = [], ...body] = rows;
  const names = header.map((name) => name.toLowerCase());
  const missing = required.filter((name) => !names.includes(name));
  const unknown = names.filter((name) => !columns.some((one) => one === name));
  if (rows.length > 0 && (missing.length > 0 || unknown.length > 0)) {
    throw new UnreadableFile('file_columns', {
      missing: missing.join(', ') || '–',
      unknown: unknown.join(', ') || '–',
    });
  }
  if (body.length === 0) throw new UnreadableFile('file_empty');
  if (body.length > MOST_LINES) throw new UnreadableFile('file_too_long', { most: String(MOST_LINES) });
  const references = new Set<string>();
  const lines = body.map((row, index) => {
    const cell = (name: Column) => row[names.indexOf(name)] ?? '';
    const cells = {
      from: cell('from'),
      to: cell('to'),
      amount: cell('amount'),
      currency: cell('currency').toUpperCase(),
      description: cell('description'),
      reference: cell('reference'),
      effective_date: cell('effective_date'),
    };
    const line = checkedLine(cells, index + 2);
    if (cells.reference !== '' && references.has(cells.reference)) line.faults.push('fault_reference_twice');
    references.add(cells.reference);
    return line;
  });
  const read = JSON.stringify(lines.map(({ transfer, cells }) => transfer ?? cells));
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(read));
  const hash = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { lines, hash };
}

function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return (
    /^\d{4}-\d\d-\d\d$/.test(text) &&
    !Number.isNaN(date.getTime()) &&
    date.toISOString().startsWith(text) &&
    text >= '1900-01-01'
  );
}

function checkedLine(cells: Line['cells'], number: number): Line {
  const { from, to, currency, description, reference, effective_date } = cells;
  const isKnown = currencies.has(currency);
  const amount = isKnown ? parseAmount(cells.amount, currency) : undefined;
  const checks: [Fault, boolean][] = [
    ['fault_from', !ACCOUNT_ID.test(from)],
    ['fault_to', !ACCOUNT_ID.test(to)],
    ['fault_same', from === to && ACCOUNT_ID.test(from)],
    ['fault_currency', !isKnown],
    ['fault_amount', isKnown && amount === undefined],
    ['fault_description', description.length > 500],
    ['fault_reference', reference.length > 500],
    ['fault_date', effective_date !== '' && !isDay(effective_date)],
  ];
  const faults = checks.filter(([, isWrong]) => isWrong).map(([fault]) => fault);
  if (faults.length > 0 || amount === undefined) return { number, cells, faults, transfer: undefined };
  return {
    number,
    cells,
    faults,
    transfer: {
      debit_account_id: from,
      credit_account_id: to,
      amount: { amount, currency },
      ...(description === '' ? {} : { description }),
      ...(reference === '' ? {} : { metadata: { reference } }),
      ...(effective_date === '' ? {} : { effective_date }),
    },
  };
}
