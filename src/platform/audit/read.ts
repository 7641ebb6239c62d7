/** Searching and exporting the audit trail. */
import { stringify } from 'csv-stringify/sync';
import { type Static, Type } from 'typebox';
import { Check, Parse } from 'typebox/value';
import type { Caller } from '../access/caller.ts';
import { PERMISSION_PATTERN } from '../access/permission.ts';
import { Personal, redactorOf, sees } from '../access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../cursor.ts';
import type { Database, Scope, Transaction } from '../db.ts';
import { Text } from '../http.ts';
import { formatId, Id } from '../ids.ts';
import { refuse } from '../problem.ts';

const Principal = Type.Object({
  kind: Type.String({ description: 'key, person, application, service, device or operator' }),
  id: Type.String(),
  name: Personal(Type.String()),
});
const Outcome = Type.Union(
  [Type.Literal('done'), Type.Literal('refused'), Type.Literal('failed'), Type.Literal('unknown')],
  { description: 'unknown: the process that did it died before it said what came of it' },
);

export const AuditEntry = Type.Object({
  id: Id('aud'),
  occurred_at: Type.String({ description: 'When it was answered, by the clock of the server' }),
  recorded_at: Type.String({ description: 'When the record was written, by the clock of the database' }),
  principal: Principal,
  on_behalf_of: Type.Optional(Principal),
  address: Type.String({ description: 'Where the request came from' }),
  method: Type.String(),
  route: Type.Optional(Type.String({ description: 'Pattern of the path; absent where no route takes it' })),
  path: Type.String(),
  permission: Type.Optional(Type.String({ description: 'The permission that it needed' })),
  outcome: Outcome,
  status: Type.Integer({ description: 'HTTP status of the answer; 0 where none is known' }),
  code: Type.Optional(Type.String({ description: 'Code of the refusal' })),
  subject: Type.Optional(Type.String({ description: 'Id of what it was done to' })),
  before: Type.Optional(Personal(Type.Unknown({ description: 'The thing before, without secrets' }))),
  after: Type.Optional(Personal(Type.Unknown({ description: 'The thing after, without secrets' }))),
  request_id: Type.String(),
  dry_run: Type.Boolean({ description: 'Whether it was only to be told what would happen' }),
  replayed: Type.Boolean({ description: 'Whether it repeated an earlier request, and did nothing' }),
});
export type AuditEntry = Static<typeof AuditEntry>;

const redact = redactorOf(AuditEntry);

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  recorded_at: Type.String(),
  principal_kind: Type.String(),
  principal_id: Type.String(),
  principal_name: Type.String(),
  on_behalf_of: Type.Union([Principal, Type.Null()]),
  address: Type.String(),
  method: Type.String(),
  route: Nullable,
  path: Type.String(),
  permission: Nullable,
  outcome: Outcome,
  status: Type.Integer(),
  code: Nullable,
  subject: Nullable,
  before: Type.Unknown(),
  after: Type.Unknown(),
  request_id: Type.String(),
  dry_run: Type.Boolean(),
  replayed: Type.Boolean(),
});

const columns = `id, recorded_at, principal_kind, principal_id, principal_name, on_behalf_of, address, method, route,
  path, permission, outcome, status, code, subject, before, after, request_id, dry_run, replayed`;

/** The Unix time in milliseconds that a UUIDv7 begins with (RFC 9562, section 5.7). */
function timeOf(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/** Times as far as a UUIDv7 can hold them. */
const LAST_MS = 2 ** 48 - 1;

/** The first UUIDv7 of a time: what was recorded from then on has no smaller id. */
function firstIdAt(time: string): string {
  const ms = Math.min(Math.max(Date.parse(time), 0), LAST_MS);
  const digits = ms.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}-7000-8000-000000000000`;
}

function entryOf(row: Static<typeof Row>): AuditEntry {
  const { principal_kind, principal_id, principal_name, on_behalf_of, route, permission, code, ...rest } =
    row;
  const { subject, before, after, id, ...same } = rest;
  return {
    ...same,
    id: formatId('aud', id),
    occurred_at: new Date(timeOf(id)).toISOString(),
    principal: { kind: principal_kind, id: principal_id, name: principal_name },
    ...(on_behalf_of === null ? {} : { on_behalf_of }),
    ...(route === null ? {} : { route }),
    ...(permission === null ? {} : { permission }),
    ...(code === null ? {} : { code }),
    ...(subject === null ? {} : { subject }),
    ...(before === null ? {} : { before }),
    ...(after === null ? {} : { after }),
  };
}

const Time = (description: string) => Type.String({ format: 'date-time', description });

const Filters = Type.Object(
  {
    principal: Type.Optional(Text({ min: 1, max: 100, description: 'Id of who did it, or on whose behalf' })),
    permission: Type.Optional(Type.String({ pattern: PERMISSION_PATTERN, maxLength: 128 })),
    subject: Type.Optional(Text({ min: 1, max: 100, description: 'Id of what it was done to' })),
    outcome: Type.Optional(Outcome),
    code: Type.Optional(Text({ min: 1, max: 64, description: 'Code of the refusal' })),
    request_id: Type.Optional(Text({ min: 1, max: 128 })),
    from: Type.Optional(Time('Answered at this time or later')),
    until: Type.Optional(Time('Answered before this time')),
    q: Type.Optional(Text({ min: 1, max: 255, description: 'Part of a name, a path, a subject or a code' })),
  },
  { additionalProperties: false },
);
type Filters = Static<typeof Filters>;

const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Filters, string> => Check(Content, content);

export const ListAuditQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Records, newest first. */
export async function listAudit(
  tx: Transaction,
  caller: Caller,
  query: Static<typeof ListAuditQuery>,
): Promise<{ data: AuditEntry[]; next_cursor: string | null }> {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { filters } = page;
  const parameters: unknown[] = [caller.tenant_id, caller.environment];
  const conditions = ['tenant_id = $1', 'environment = $2'];
  // By asking for one letter after the other, a name that is masked could be found out.
  const names = sees(caller, 'personal', 'audit:read') ? "principal_name, on_behalf_of ->> 'name', " : '';
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    parameters.push(value);
    conditions.push(condition(`$${parameters.length}`));
  };
  add(page.after, (it) => `id < ${it}::uuid`);
  add(filters.principal, (it) => `(principal_id = ${it} or on_behalf_of ->> 'id' = ${it})`);
  add(filters.permission, (it) => `permission = ${it}`);
  add(filters.subject, (it) => `subject = ${it}`);
  add(filters.outcome, (it) => `outcome = ${it}`);
  add(filters.code, (it) => `code = ${it}`);
  add(filters.request_id, (it) => `request_id = ${it}`);
  add(filters.from === undefined ? undefined : firstIdAt(filters.from), (it) => `id >= ${it}::uuid`);
  add(filters.until === undefined ? undefined : firstIdAt(filters.until), (it) => `id < ${it}::uuid`);
  add(filters.q, (it) => `strpos(lower(concat_ws(' ', ${names}path, subject, code)), lower(${it})) > 0`);
  parameters.push(page.limit + 1);
  const rows = await tx.rows(
    Row,
    // `environment` for the planner, which under row-level security does not know that there is one value.
    `select ${columns} from platform.audit_records where ${conditions.join(' and ')}
     order by environment desc, id desc limit $${parameters.length}`,
    parameters,
  );
  return pageOf(rows, page, entryOf, ({ id }) => id);
}

export async function getAudit(tx: Transaction, caller: Caller, uuid: string): Promise<AuditEntry> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from platform.audit_records where tenant_id = $1 and environment = $2 and id = $3`,
    [caller.tenant_id, caller.environment, uuid],
  );
  if (row === undefined) {
    throw refuse('not_found', `There is no audit record ${formatId('aud', uuid)} in ${caller.environment}.`);
  }
  return entryOf(row);
}

export const ExportAuditQuery = Type.Object(
  {
    format: Type.Optional(
      Type.Union([Type.Literal('csv'), Type.Literal('jsonl')], {
        default: 'csv',
        description: 'csv: RFC 4180 with a header; jsonl: an object a line',
      }),
    ),
    from: Time('Beginning of the period'),
    until: Type.Optional(Time('End of the period, not within it; now if absent')),
  },
  { additionalProperties: false },
);

/** Records read by one statement and kept in memory at a time: a few megabytes at most. */
const BATCH = 100;

/** Records of a period, oldest first, a batch at a time. Nothing is held open while a slow client reads. */
async function* batches(db: Database, scope: Scope, from: string, until: string) {
  let after = firstIdAt(from);
  let isFirst = true;
  const end = firstIdAt(until);
  for (;;) {
    const rows = await db.read(scope, (tx) =>
      tx.rows(
        Row,
        `select ${columns} from platform.audit_records
         where tenant_id = $1 and environment = $2 and id ${isFirst ? '>=' : '>'} $3 and id < $4
         order by environment, id limit $5`,
        [scope.tenant_id, scope.environment, after, end, BATCH],
      ),
    );
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return;
    after = last.id;
    isFirst = false;
  }
}

const csvColumns = [
  'id',
  'occurred_at',
  'recorded_at',
  'principal_kind',
  'principal_id',
  'principal_name',
  'on_behalf_of_kind',
  'on_behalf_of_id',
  'on_behalf_of_name',
  'address',
  'method',
  'route',
  'path',
  'permission',
  'outcome',
  'status',
  'code',
  'subject',
  'before',
  'after',
  'request_id',
  'dry_run',
  'replayed',
] as const;
type CsvLine = Partial<Record<(typeof csvColumns)[number], string>>;

function csvLineOf(entry: AuditEntry): CsvLine {
  const { principal, on_behalf_of, before, after, status, dry_run, replayed, ...same } = entry;
  return {
    ...same,
    principal_kind: principal.kind,
    principal_id: principal.id,
    principal_name: principal.name,
    ...(on_behalf_of === undefined
      ? {}
      : {
          on_behalf_of_kind: on_behalf_of.kind,
          on_behalf_of_id: on_behalf_of.id,
          on_behalf_of_name: on_behalf_of.name,
        }),
    status: String(status),
    dry_run: String(dry_run),
    replayed: String(replayed),
    ...(before === undefined ? {} : { before: JSON.stringify(before) }),
    ...(after === undefined ? {} : { after: JSON.stringify(after) }),
  };
}

/** RFC 4180. What a caller wrote cannot become a formula of the spreadsheet that the file is opened with. */
function csvOf(lines: readonly CsvLine[], header: boolean): string {
  return stringify([...lines], {
    header,
    columns: [...csvColumns],
    record_delimiter: '\r\n',
    quote_record_delimiter: true,
    escape_formulas: true,
  });
}

/** The trail of a period as a file, a piece at a time. Throws `malformed_request` for a period that ends before it begins. */
export function exportAudit(
  db: Database,
  caller: Caller,
  query: Static<typeof ExportAuditQuery>,
): { filename: string; type: string; pieces: AsyncGenerator<string> } {
  const { format = 'csv', from, until = new Date().toISOString() } = query;
  if (Date.parse(from) > Date.parse(until)) {
    throw refuse('malformed_request', `The period begins at ${from} and ends at ${until}.`, {
      errors: [{ pointer: '?until', detail: 'must not be before from' }],
    });
  }
  async function* pieces(): AsyncGenerator<string> {
    if (format === 'csv') yield csvOf([], true);
    for await (const rows of batches(db, caller, from, until)) {
      const entries = rows.map((row) => Parse(AuditEntry, redact(entryOf(row), caller)));
      yield format === 'csv'
        ? csvOf(entries.map(csvLineOf), false)
        : entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    }
  }
  const day = (time: string) => new Date(time).toISOString().slice(0, 10);
  return {
    filename: `audit_${caller.environment}_${day(from)}_${day(until)}.${format}`,
    type: format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
    pieces: pieces(),
  };
}
