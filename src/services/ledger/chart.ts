/** The chart of accounts: every account stands under one of its codes, which says of what type it is. */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { newUuid } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import { AccountType, ChartCode, type ChartEntry, Side } from './contract.ts';
import { refuse } from './errors.ts';
import { createOnce } from './once.ts';

export const ChartRequest = Type.Object(
  {
    code: ChartCode,
    name: Text({ min: 1, max: 255, examples: ['Customer deposits'] }),
    type: AccountType,
    parent_code: Type.Optional(ChartCode),
  },
  { additionalProperties: false },
);
export type ChartRequest = Static<typeof ChartRequest>;

const Row = Type.Object({
  code: Type.String(),
  name: Type.String(),
  type: AccountType,
  normal_side: Side,
  parent_code: Type.Union([Type.String(), Type.Null()]),
  created_at: Type.String(),
});

const columns = `code, name, type,
  case when type in ('asset', 'expense') then 'debit' else 'credit' end as normal_side, parent_code, created_at`;

function entryOf({ parent_code, ...row }: Static<typeof Row>): ChartEntry {
  return { ...row, ...(parent_code === null ? {} : { parent_code }) };
}

/** The whole chart, in order of its codes. */
export async function listChart(tx: Transaction, scope: Scope): Promise<ChartEntry[]> {
  const rows = await tx.rows(
    Row,
    `select ${columns} from ledger.chart_of_accounts where tenant_id = $1 and environment = $2 order by code collate "C"`,
    [scope.tenant_id, scope.environment],
  );
  return rows.map(entryOf);
}

async function getChartEntry(tx: Transaction, scope: Scope, code: string): Promise<ChartEntry> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from ledger.chart_of_accounts where tenant_id = $1 and environment = $2 and code = $3`,
    [scope.tenant_id, scope.environment, code],
  );
  if (row === undefined) throw refuse('chart_code_not_found', `The chart of accounts has no code ${code}.`);
  return entryOf(row);
}

/** Adds a code to the chart, once for each idempotency key. */
export async function addToChart(
  books: Books,
  scope: Scope,
  body: ChartRequest,
  attempt: Attempt,
): Promise<{ entry: ChartEntry; replayed: boolean }> {
  const { replayed } = await createOnce(
    books.db,
    scope,
    { ...attempt, request: canonicalRequest(body) },
    async (tx) => {
      const chart = await listChart(tx, scope);
      if (chart.some(({ code }) => code === body.code)) {
        throw refuse('chart_code_taken', `The chart of accounts has the code ${body.code} already.`);
      }
      const parent = chart.find(({ code }) => code === body.parent_code);
      if (body.parent_code !== undefined && parent === undefined) {
        throw refuse('chart_code_not_found', `The chart of accounts has no code ${body.parent_code}.`);
      }
      if (parent !== undefined && parent.type !== body.type) {
        throw refuse('chart_type_mismatch', `${parent.code} is of type ${parent.type}.`);
      }
      await tx.run(
        `insert into ledger.chart_of_accounts (tenant_id, environment, code, name, type, parent_code)
         values ($1, $2, $3, $4, $5, $6)`,
        [scope.tenant_id, scope.environment, body.code, body.name, body.type, body.parent_code ?? null],
      );
      // A code is its own id; the attempt needs one all the same.
      return newUuid();
    },
  );
  const entry = await books.db.read(scope, (tx) => getChartEntry(tx, scope, body.code));
  return { entry, replayed };
}
