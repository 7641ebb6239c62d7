/** Who may act on accounts with certain labels only may not make one without them. */
import type { Scope, Transaction } from '../../platform/db.ts';
import { refuse } from './errors.ts';

/** Throws `account_out_of_reach` unless an account with these labels can be reached by whoever acts. */
export function assertWithinReach({ reach }: Scope, metadata: Readonly<Record<string, string>> = {}): void {
  if (reach === undefined) return;
  const within = reach.some((labels) =>
    Object.entries(labels).every(
      ([name, value]) => Object.hasOwn(metadata, name) && metadata[name] === value,
    ),
  );
  if (!within) {
    const wanted = reach.map((labels) => JSON.stringify(labels)).join(' or ');
    throw refuse('account_out_of_reach', `The metadata of the account must include ${wanted}.`);
  }
}

/**
 * Does what is the system's own part of a request, in a transaction of a caller who reaches certain labels only. When
 * `work` throws the transaction or its savepoint is rolled back, and the reach is again what it was before.
 */
export async function beyondReach<Whose extends Scope, T>(
  tx: Transaction,
  { reach, ...scope }: Whose,
  work: (scope: Omit<Whose, 'reach'>) => Promise<T>,
): Promise<T> {
  if (reach === undefined) return work(scope);
  const set = "select set_config('app.reach', $1, true)";
  await tx.run(set, ['']);
  const done = await work(scope);
  await tx.run(set, [JSON.stringify(reach)]);
  return done;
}
