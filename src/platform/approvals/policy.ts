/** Approval policies: which permitted actions need a second person. Every process has all of them in memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Static, Type } from 'typebox';
import type { Caller } from '../access/caller.ts';
import { PERMISSION_PATTERN } from '../access/permission.ts';
import type { Database, Environment, Scope, Transaction } from '../db.ts';
import { assertMatches } from '../etag.ts';
import { Money, parseMoney } from '../money.ts';
import { refuse } from './errors.ts';

const DEFAULT_EXPIRES_IN_S = 3 * 86_400;

const Above = Type.Array(Money, {
  minItems: 1,
  maxItems: 50,
  description:
    'An amount for each currency: what is above it waits. In a currency that is not named, every amount waits. Absent: every such action waits, whatever its amount',
});
const ExpiresIn = Type.Integer({
  minimum: 60,
  maximum: 90 * 86_400,
  default: DEFAULT_EXPIRES_IN_S,
  description: 'Seconds after which a proposal that nobody decided expires',
});

export const PolicyRequest = Type.Object(
  { above: Type.Optional(Above), expires_in_s: Type.Optional(ExpiresIn) },
  { additionalProperties: false },
);
export type PolicyRequest = Static<typeof PolicyRequest>;

export const Policy = Type.Object({
  action: Type.String({
    pattern: PERMISSION_PATTERN,
    description: 'The permission that alone is not enough',
    examples: ['transfers:post'],
  }),
  above: Type.Optional(Above),
  expires_in_s: ExpiresIn,
  created_at: Type.String(),
  updated_at: Type.String(),
  updated_by: Type.String({ description: 'Public id of who said so last' }),
});
export type Policy = Static<typeof Policy>;

const Row = Type.Object({
  action: Type.String(),
  above: Type.Union([Type.Array(Money), Type.Null()]),
  expires_in_s: Type.Integer(),
  created_at: Type.String(),
  updated_at: Type.String(),
  updated_by: Type.String(),
  version: Type.Integer(),
});
const columns = 'action, above, expires_in_s, created_at, updated_at, updated_by, version';

function policyOf({ above, version: _version, ...rest }: Static<typeof Row>): Policy {
  return { ...rest, ...(above === null ? {} : { above }) };
}

export interface VersionedPolicy {
  policy: Policy;
  version: number;
}

async function findPolicy(
  tx: Transaction,
  scope: Scope,
  action: string,
): Promise<VersionedPolicy | undefined> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from platform.approval_policies
     where tenant_id = $1 and environment = $2 and action = $3`,
    [scope.tenant_id, scope.environment, action],
  );
  return row && { policy: policyOf(row), version: row.version };
}

/** A policy by its action. Throws `policy_not_found`. */
export async function getPolicy(tx: Transaction, scope: Scope, action: string): Promise<VersionedPolicy> {
  const found = await findPolicy(tx, scope, action);
  if (found === undefined) throw refuse('policy_not_found', `No policy is about ${action}.`);
  return found;
}

/** All policies; there are no more of them than of permissions. */
export async function listPolicies(tx: Transaction, scope: Scope): Promise<Policy[]> {
  const rows = await tx.rows(
    Row,
    `select ${columns} from platform.approval_policies where tenant_id = $1 and environment = $2 order by action`,
    [scope.tenant_id, scope.environment],
  );
  return rows.map(policyOf);
}

function assertThresholds(above: readonly Money[]): void {
  for (const money of above) {
    const minor = parseMoney(money);
    if (typeof minor !== 'bigint') throw refuse('threshold_invalid', minor.detail);
    if (minor < 0n) throw refuse('threshold_invalid', `${money.amount} ${money.currency} is negative.`);
  }
  if (new Set(above.map(({ currency }) => currency)).size < above.length) {
    throw refuse('threshold_invalid', 'A currency stands in above twice.');
  }
}

const lockOf = 'select pg_advisory_xact_lock(hashtextextended($1, 0))';
const lockNameOf = (scope: Scope, action: string) =>
  `approval policy ${scope.tenant_id} ${scope.environment} ${action}`;

/** Makes a policy, or changes the one that there is, which then `If-Match` must name. */
export function setPolicy(
  db: Database,
  caller: Caller,
  action: string,
  body: PolicyRequest,
  ifMatch: string | undefined,
): Promise<VersionedPolicy & { before: Policy | undefined }> {
  assertThresholds(body.above ?? []);
  return db.write(caller, async (tx) => {
    await tx.run(lockOf, [lockNameOf(caller, action)]);
    const before = await findPolicy(tx, caller, action);
    if (before !== undefined) assertMatches(ifMatch, before.version, 'the policy');
    else if (ifMatch !== undefined) throw refuse('policy_not_found', `No policy is about ${action} yet.`);
    await tx.run(
      `insert into platform.approval_policies (tenant_id, environment, action, above, expires_in_s, updated_by)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (tenant_id, environment, action) do update
       set above = excluded.above, expires_in_s = excluded.expires_in_s, updated_by = excluded.updated_by,
           updated_at = now(), version = approval_policies.version + 1`,
      [
        caller.tenant_id,
        caller.environment,
        action,
        body.above === undefined ? null : JSON.stringify(body.above),
        body.expires_in_s ?? DEFAULT_EXPIRES_IN_S,
        caller.principal.id,
      ],
    );
    return { ...(await getPolicy(tx, caller, action)), before: before?.policy };
  });
}

/** Takes a policy away, and returns what it was. What it made wait goes on waiting. */
export function removePolicy(
  db: Database,
  caller: Caller,
  action: string,
  ifMatch: string | undefined,
): Promise<Policy> {
  return db.write(caller, async (tx) => {
    await tx.run(lockOf, [lockNameOf(caller, action)]);
    const { policy, version } = await getPolicy(tx, caller, action);
    assertMatches(ifMatch, version, 'the policy');
    await tx.run(
      'delete from platform.approval_policies where tenant_id = $1 and environment = $2 and action = $3',
      [caller.tenant_id, caller.environment, action],
    );
    return policy;
  });
}

/** A policy as requests are measured by it. */
export interface Rule {
  action: string;
  /** Minor units by currency; undefined: every amount waits. */
  above: ReadonlyMap<string, bigint> | undefined;
  /** The same as it was written. */
  thresholds: readonly Money[] | null;
  expires_in_s: number;
}

/** Whether what a route would move is more than a rule lets one person do. */
export function isAbove({ above }: Rule, amounts: readonly Money[] | undefined): boolean {
  if (above === undefined || amounts === undefined) return true;
  return amounts.some((money) => {
    const minor = parseMoney(money);
    const threshold = above.get(money.currency);
    // What is no amount is refused by whoever reads it; until then nothing speaks for it.
    return typeof minor !== 'bigint' || threshold === undefined || minor > threshold;
  });
}

export type Rules = ReadonlyMap<string, Rule>;

const RuleRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  action: Type.String(),
  above: Type.Union([Type.Array(Money), Type.Null()]),
  expires_in_s: Type.Integer(),
});

function ruleOf({ action, above, expires_in_s }: Static<typeof RuleRow>): Rule {
  if (above === null) return { action, above: undefined, thresholds: null, expires_in_s };
  const minors = new Map<string, bigint>();
  for (const money of above) {
    const minor = parseMoney(money);
    if (typeof minor === 'bigint') minors.set(money.currency, minor);
  }
  return { action, above: minors, thresholds: above, expires_in_s };
}

const RETRY_PAUSE_MS = 500;

export interface Rulebook {
  /** The rules of a tenant by their action; undefined where it has none, which costs a request one look-up. */
  of(scope: Scope): Rules | undefined;
  /** Reads all rules anew; resolves when those are known that were there when it was called. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

/** Reads the rules, and keeps them as `refresh` finds them. Until the first are known no request can be measured. */
export async function openRulebook(db: Database, onError: (error: unknown) => void): Promise<Rulebook> {
  let known = new Map<string, Record<Environment, Map<string, Rule>>>();
  const stopping = new AbortController();
  let reading: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  async function read(): Promise<void> {
    const rows = await db.rows(RuleRow, 'select * from platform.list_approval_policies()');
    const found: typeof known = new Map();
    for (const row of rows) {
      const rules = found.get(row.tenant_id) ?? { sandbox: new Map(), live: new Map() };
      rules[row.environment].set(row.action, ruleOf(row));
      found.set(row.tenant_id, rules);
    }
    known = found;
  }

  /** What was known goes on being so while the database cannot be asked. */
  async function persist(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        return await read();
      } catch (error) {
        onError(error);
        await sleep(RETRY_PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => {});
      }
    }
  }

  async function run(): Promise<void> {
    await persist();
    reading = undefined;
  }

  function refresh(): Promise<void> {
    if (reading === undefined) {
      reading = run();
      return reading;
    }
    // The reading under way may have begun before what is to be known now; all who come meanwhile share the next one.
    next ??= reading.then(() => {
      next = undefined;
      reading = run();
      return reading;
    });
    return next;
  }

  await read();
  return {
    of(scope) {
      const rules = known.get(scope.tenant_id)?.[scope.environment];
      return rules === undefined || rules.size === 0 ? undefined : rules;
    },
    refresh,
    async stop() {
      stopping.abort();
      await next;
      await reading;
    },
  };
}
