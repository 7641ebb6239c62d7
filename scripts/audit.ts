/**
 * `npm run audit -- verify [--tenant ten_…] [--environment sandbox|live]`: verifies the audit trail of every tenant, or of
 * one, and names what is wrong. Uses the database of DATABASE_URL, or the embedded server that runs on DATA_DIR.
 *
 * Exit code: 0 all is well, 1 something is wrong in a trail, 2 they could not be verified.
 */
import { type AuditReport, verifyAudit } from '../src/platform/audit/verify.ts';
import { type Config, readConfig } from '../src/platform/config.ts';
import { openDatabase, type Scope } from '../src/platform/db.ts';
import { operatorDatabaseUrl } from '../src/platform/operator.ts';
import {
  CannotCheck,
  chooseScopes,
  messageOf,
  nameOf,
  SCOPE_OPTIONS,
  type Wanted,
  wantedOf,
} from './scopes.ts';

/** Longest that one statement may take: a trail of years is read as a whole. */
const STATEMENT_TIMEOUT_MS = 600_000;

function print(scope: Scope, report: AuditReport): void {
  const { ok, checked_at, records, unsealed_records, seals, sealed_hash, findings, more } = report;
  const lines = [
    `${nameOf(scope)}: ${ok ? 'all is well' : 'SOMETHING IS WRONG'}, ${checked_at}`,
    `  ${records} records, of which ${unsealed_records} wait for their seal`,
    sealed_hash === null ? '  nothing sealed yet' : `  sealed up to seal ${seals} with hash ${sealed_hash}`,
    ...findings.map(({ subject, detail }) => `  ${subject}: ${detail}`),
    ...(more ? ['  and more'] : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n\n`);
}

/** Whether every trail that was verified is whole. */
async function verifyAll(config: Config, wanted: Wanted): Promise<boolean> {
  const platform = openDatabase({
    url: await operatorDatabaseUrl(config),
    role: 'platform',
    pool_size: 1,
    statement_timeout_ms: STATEMENT_TIMEOUT_MS,
    lock_timeout_ms: config.lock_timeout_ms,
    // It is told by the statement that meets it.
    onError: () => {},
  });
  try {
    let ok = true;
    for (const scope of await chooseScopes(platform, wanted)) {
      const report = await verifyAudit(platform, scope).catch((error: unknown) => {
        throw new CannotCheck(
          `the verification of ${nameOf(scope)} could not be finished: ${messageOf(error)}`,
        );
      });
      print(scope, report);
      ok &&= report.ok;
    }
    return ok;
  } finally {
    await platform.close();
  }
}

try {
  const usage = `usage: npm run audit -- verify ${SCOPE_OPTIONS}`;
  const [command, ...rest] = process.argv.slice(2);
  if (command !== 'verify') throw new CannotCheck(`what to do with the audit trail is not said; ${usage}`);
  const wanted = wantedOf(rest, usage);
  process.exitCode = (await verifyAll(readConfig(process.env), wanted)) ? 0 : 1;
} catch (error) {
  console.error(`audit: ${messageOf(error)}`);
  process.exitCode = 2;
}
