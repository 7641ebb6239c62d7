/** A statement as PDF (docs/decisions/0030-statements-as-pdf.md): what one sends to a customer or files. */
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Pdf from 'pdfkit';
import { Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import { redactorOf } from '../../platform/access/redaction.ts';
import type { Database } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import { Account } from './contract.ts';
import { refuse } from './errors.ts';
import { AccountEntry, countEntries, type EntryRow } from './read-entries.ts';
import { type StatementQuery, statementName, type WholeStatement, wholeStatement } from './statement.ts';

/** Pages are kept until their number is known. So many entries come to some 125 of them. */
const MOST_ENTRIES = 5_000;
/** Entries drawn without a pause: other requests wait no longer than that takes. */
const SLICE = 50;

const words = {
  en: {
    locale: 'en-GB',
    statement: 'Statement of account',
    account: 'Account',
    period: 'Period',
    currency: 'Currency',
    by_effective: 'by effective date',
    by_recorded: 'by the day of recording (UTC)',
    opening: 'Opening balance',
    closing: 'Closing balance',
    debits: 'Debits',
    credits: 'Credits',
    date: 'Date',
    description: 'Description',
    debit: 'Debit',
    credit: 'Credit',
    balance: 'Balance',
    carried: 'Carried forward',
    totals: 'Totals',
    nothing: 'Nothing was posted in this period.',
    page: (page: number, of: number) => `Page ${page} of ${of}`,
    entries: (count: number) => (count === 1 ? '1 entry' : `${count} entries`),
    to: (from: string, to: string) => `${from} to ${to}`,
  },
  pt: {
    locale: 'pt-BR',
    statement: 'Extrato de conta',
    account: 'Conta',
    period: 'Período',
    currency: 'Moeda',
    by_effective: 'pela data contábil',
    by_recorded: 'pelo dia do registro (UTC)',
    opening: 'Saldo inicial',
    closing: 'Saldo final',
    debits: 'Débitos',
    credits: 'Créditos',
    date: 'Data',
    description: 'Descrição',
    debit: 'Débito',
    credit: 'Crédito',
    balance: 'Saldo',
    carried: 'Transporte',
    totals: 'Totais',
    nothing: 'Nada foi lançado neste período.',
    page: (page: number, of: number) => `Página ${page} de ${of}`,
    entries: (count: number) => (count === 1 ? '1 lançamento' : `${count} lançamentos`),
    to: (from: string, to: string) => `${from} a ${to}`,
  },
} as const;
type Language = keyof typeof words;

/** They have the letters of most languages; those that a PDF has in itself have no more than Latin-1. */
const fonts = {
  regular: fileURLToPath(import.meta.resolve('dejavu-fonts-ttf/ttf/DejaVuSansCondensed.ttf')),
  bold: fileURLToPath(import.meta.resolve('dejavu-fonts-ttf/ttf/DejaVuSansCondensed-Bold.ttf')),
};

/** Points, of an A4 page in portrait. */
const page = { left: 40, right: 555, top: 40, head: 74, bottom: 790, foot: 805 };
const columns = { date: 40, description: 98, debit: 355, credit: 455, balance: 555 };
const DESCRIPTION_WIDTH = 165;
const AMOUNT_WIDTH = 95;
const INK = '#1b1f24';
const FAINT = '#5b6470';
const RULE = '#c9ced6';

/** Who issues it. */
interface Letterhead {
  institution: string;
  color: string;
  /** Masked for who may not see it. */
  account_name: string;
  chart_code: string;
}

const LetterheadRow = Type.Object({
  institution: Type.String(),
  color: Type.String(),
  account_name: Type.String(),
  chart_code: Type.String(),
});

const redactAccount = redactorOf(Account);
const redactEntry = redactorOf(AccountEntry);

/** A text of what was redacted. */
function shownOf(redacted: unknown, name: string): string {
  const shown: unknown = Object(redacted)[name];
  return typeof shown === 'string' ? shown : '';
}

/** One line of text: what could break lines or is no character becomes a space. */
function lineOf(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is taken out
  return text.replaceAll(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/gu, ' ').trim();
}

/** Draws a statement. It is whole only after `finish`. */
function openDocument(whole: WholeStatement, letterhead: Letterhead, language: Language) {
  const t = words[language];
  const { currency } = whole.account;
  const exponent = formatMoney(0n, currency).amount.split('.')[1]?.length ?? 0;
  const number = new Intl.NumberFormat(t.locale, {
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  const day = new Intl.DateTimeFormat(t.locale, {
    day: '2-digit',
    month: '2-digit',
    year: 'numeric',
    timeZone: 'UTC',
  });
  const dayText = (date: string) => day.format(new Date(`${date}T00:00:00Z`));
  const amountText = (minor: bigint) => {
    const { amount } = formatMoney(minor, currency);
    return isDecimal(amount) ? number.format(amount) : amount;
  };

  const doc = new Pdf({
    size: 'A4',
    // Where pages end is decided here.
    margin: 0,
    bufferPages: true,
    autoFirstPage: false,
    pdfVersion: '1.7',
    lang: t.locale,
    displayTitle: true,
    info: {
      Title: `${t.statement} · ${letterhead.account_name}`,
      Author: letterhead.institution,
      // Not now: the same statement is the same file.
      CreationDate: new Date(`${whole.period.to}T00:00:00Z`),
    },
  });
  doc.registerFont('regular', fonts.regular);
  doc.registerFont('bold', fonts.bold);
  let y = 0;

  function write(text: string, x: number, at: number, font: 'regular' | 'bold', size: number, color = INK) {
    doc.font(font).fontSize(size).fillColor(color).text(text, x, at, { lineBreak: false });
  }
  /** Ends at `edge`; smaller where it would be wider than `width`. */
  function writeRight(
    text: string,
    edge: number,
    at: number,
    font: 'regular' | 'bold',
    width = AMOUNT_WIDTH,
  ) {
    doc.font(font).fontSize(8);
    const wide = doc.widthOfString(text);
    const size = wide > width ? (8 * width) / wide : 8;
    doc.fontSize(size);
    write(text, edge - doc.widthOfString(text), at, font, size);
  }
  /** Breaks where it is too wide, within words too, and returns how high it is. */
  function writeBlock(text: string, x: number, at: number, size: number, width: number): number {
    doc.font('regular').fontSize(size).fillColor(INK);
    const height = doc.heightOfString(text, { width });
    doc.text(text, x, at, { width });
    return height;
  }
  function rule(at: number, color = RULE, weight = 0.5) {
    doc.lineWidth(weight).strokeColor(color).moveTo(page.left, at).lineTo(page.right, at).stroke();
  }

  function beginPage() {
    doc.addPage();
    doc.font('bold').fontSize(13).fillColor(INK);
    doc.text(letterhead.institution, page.left, page.top, { width: 330, height: 16, ellipsis: '…' });
    writeRight(t.statement, page.right, page.top + 4, 'bold', 180);
    rule(page.top + 24, letterhead.color, 2);
    y = page.head;
  }
  function beginTable() {
    write(t.date, columns.date, y, 'bold', 8);
    write(t.description, columns.description, y, 'bold', 8);
    for (const name of ['debit', 'credit', 'balance'] as const) writeRight(t[name], columns[name], y, 'bold');
    rule(y + 12, INK);
    y += 17;
  }
  function beginNextPage(carried: bigint) {
    beginPage();
    beginTable();
    balanceLine(t.carried, carried, 'regular');
  }
  function balanceLine(label: string, balance: bigint, font: 'regular' | 'bold') {
    write(label, columns.description, y, font, 8);
    writeRight(amountText(balance), columns.balance, y, font);
    rule(y + 12);
    y += 16;
  }

  function begin() {
    beginPage();
    const facts = [
      [t.account, letterhead.account_name],
      ['', `${whole.account_id} · ${letterhead.chart_code}`],
      [
        t.period,
        `${t.to(dayText(whole.period.from), dayText(whole.period.to))}, ${t[`by_${whole.period.by}`]}`,
      ],
      [t.currency, currency],
    ] as const;
    for (const [name, value] of facts) {
      write(name, page.left, y, 'regular', 8, FAINT);
      y += Math.max(12, writeBlock(value, columns.description, y, 9, 457) + 2);
    }
    y += 8;
    const figures = [
      [t.opening, whole.opening],
      [t.debits, whole.debits],
      [t.credits, whole.credits],
      [t.closing, whole.closing],
    ] as const;
    for (const [index, [name, minor]] of figures.entries()) {
      const edge = page.left + ((index + 1) * (page.right - page.left)) / figures.length;
      doc.font('regular').fontSize(8);
      write(name, edge - doc.widthOfString(name), y, 'regular', 8, FAINT);
      writeRight(amountText(minor), edge, y + 12, 'bold', 120);
    }
    y += 38;
    beginTable();
    balanceLine(t.opening, whole.opening, 'bold');
  }

  function entry(row: EntryRow, balance: bigint, before: bigint, description: string) {
    const text = lineOf(description);
    doc.font('regular').fontSize(8);
    const height = text === '' ? 0 : doc.heightOfString(text, { width: DESCRIPTION_WIDTH });
    if (y + height + 14 > page.bottom) beginNextPage(before);
    write(dayText(row.effective_date), columns.date, y, 'regular', 8);
    if (text !== '') writeBlock(text, columns.description, y, 8, DESCRIPTION_WIDTH);
    write(formatId('trf', row.transfer_id), columns.description, y + height, 'regular', 6, FAINT);
    writeRight(amountText(row.amount), columns[row.side], y, 'regular');
    writeRight(amountText(balance), columns.balance, y, 'regular');
    y += height + 9;
    rule(y);
    y += 4;
  }

  function finish(count: number) {
    if (y + 50 > page.bottom) beginNextPage(whole.closing);
    if (count === 0) {
      write(t.nothing, columns.description, y, 'regular', 8, FAINT);
      y += 16;
    }
    write(`${t.totals} (${t.entries(count)})`, columns.description, y, 'bold', 8);
    writeRight(amountText(whole.debits), columns.debit, y, 'bold');
    writeRight(amountText(whole.credits), columns.credit, y, 'bold');
    rule(y + 12);
    y += 16;
    balanceLine(t.closing, whole.closing, 'bold');
    const { count: pages } = doc.bufferedPageRange();
    for (let index = 0; index < pages; index += 1) {
      doc.switchToPage(index);
      write(whole.account_id, page.left, page.foot, 'regular', 7, FAINT);
      writeRight(t.page(index + 1, pages), page.right, page.foot, 'regular');
    }
    doc.end();
  }
  return { doc, begin, entry, finish };
}

/** Numbers that the formatter takes as text, so that none of their digits is lost. */
function isDecimal(text: string): text is `${number}` {
  return /^-?\d+(\.\d+)?$/.test(text);
}

/** A statement as PDF. Throws `statement_too_long` beside what any statement is refused for. */
export async function pdfStatement(
  db: Database,
  caller: Caller,
  uuid: string,
  query: StatementQuery,
  language: Language,
): Promise<{ head: number; filename: string; pdf: Buffer }> {
  const whole = await wholeStatement(db, caller, uuid, query, 'PDF');
  const letterhead = await db.read(caller, async (tx) => {
    const entries = await countEntries(tx, caller, uuid, whole.range, MOST_ENTRIES);
    if (entries > MOST_ENTRIES) {
      throw refuse(
        'statement_too_long',
        `The statement has more than ${MOST_ENTRIES} entries. Ask for a shorter period, or for CSV.`,
        { most: MOST_ENTRIES },
      );
    }
    const [row] = await tx.rows(
      LetterheadRow,
      `select coalesce(t.brand ->> 'display_name', t.name) as institution,
         coalesce(t.brand ->> 'primary_color', '${INK}') as color, a.name as account_name, a.chart_code
       from platform.tenants t, ledger.accounts a
       where t.tenant_id = $1 and a.tenant_id = $1 and a.environment = $2 and a.id = $3`,
      [caller.tenant_id, caller.environment, uuid],
    );
    if (row === undefined) throw refuse('account_not_found', `There is no account ${whole.account_id}.`);
    const account_name = shownOf(redactAccount({ name: row.account_name }, caller, 'accounts:read'), 'name');
    return { ...row, institution: lineOf(row.institution), account_name: lineOf(account_name) };
  });
  const { doc, begin, entry, finish } = openDocument(whole, letterhead, language);
  const pdf = buffer(doc);
  begin();
  let before = whole.opening;
  let count = 0;
  for await (const entries of whole.batches()) {
    for (const { row, balance } of entries) {
      const shown = redactEntry({ description: row.description }, caller, 'accounts:read');
      entry(row, balance, before, shownOf(shown, 'description'));
      before = balance;
      count += 1;
      if (count % SLICE === 0) await nextTurn();
    }
  }
  finish(count);
  return { head: whole.head, filename: statementName(whole, 'pdf'), pdf: await pdf };
}
