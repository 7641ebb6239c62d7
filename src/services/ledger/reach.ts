/** Who may act on accounts with certain labels only may not make one without them. */
import type { Scope } from '../../platform/db.ts';
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
