/**
 * `npm run integrity -- [--tenant ten_…] [--environment sandbox|live]`: checks the books of every tenant, or of one,
 * and names what is wrong. Uses the database of DATABASE_URL, or the embedded server that runs on DATA_DIR. The
 * report goes to stdout, progress to stderr.
 *
 * Exit code: 0 all is well, 1 something is wrong in the books, 2 they could not be checked.
 */
import { type Config, readConfig } from '../src/platform/config.ts';
import { type Database, openDatabase, type Scope } from '../src/platform/db.ts';
import { operatorDatabaseUrl } from '../src/platform/operator.ts';
import { checkIntegrity, type IntegrityReport } from '../src/services/ledger/integrity.ts';
import {
  CannotCheck,
  chooseScopes,
  messageOf,
  nameOf,
  SCOPE_OPTIONS,
  type Wanted,
  wantedOf,
} from './scopes.ts';

function print(scope: Scope, report: IntegrityReport): void {
  const lines = [
    `${nameOf(scope)}: ${report.ok ? 'all is well' : 'SOMETHING IS WRONG'} at position ${report.position}, ${report.checked_at}`,
    report.sealed_hash === null
      ? '  nothing sealed yet'
      : `  sealed up to position ${report.sealed_position} with hash ${report.sealed_hash}`,
  ];
  const width = Math.max(...report.checks.map(({ name }) => name.length));
  for (const { name, meaning, checked, ok, findings, more } of report.checks) {
    const count = more ? `more than ${findings.length}` : findings.length;
    lines.push(
      `  ${name.padEnd(width)}  ${String(checked).padStart(12)} looked at  ${ok ? 'ok' : `WRONG: ${count}`}`,
    );
    if (!ok) lines.push(`    What is to hold: ${meaning}.`);
    for (const { subject, position, detail } of findings) {
      const at =
        position === undefined || subject === `position ${position}` ? '' : ` (position ${position})`;
      lines.push(`    ${subject}${at}: ${detail}`);
    }
  }
  process.stdout.write(`${lines.join('\n')}\n\n`);
}

/** Whether all that was checked is well. */
async function checkAll(config: Config, wanted: Wanted): Promise<boolean> {
  const url = await operatorDatabaseUrl(config);
  const open = (role: string): Database =>
    openDatabase({
      url,
      role,
      pool_size: 1,
      statement_timeout_ms: config.statement_timeout_ms,
      lock_timeout_ms: config.lock_timeout_ms,
      // It is told by the statement that meets it.
      onError: () => {},
    });
  const [platform, ledger] = [open('platform'), open('ledger')];
  try {
    const chosen = await chooseScopes(platform, wanted);
    let ok = true;
    for (const scope of chosen) {
      let began = performance.now();
      const report = await checkIntegrity(ledger, scope, {
        deep: true,
        onCheck: (check) => {
          const seconds = ((performance.now() - began) / 1_000).toFixed(1);
          process.stderr.write(
            `${nameOf(scope)} ${check.name} ${check.ok ? 'ok' : 'WRONG'} (${seconds} s)\n`,
          );
          began = performance.now();
        },
      }).catch((error: unknown) => {
        throw new CannotCheck(`the check of ${nameOf(scope)} could not be finished: ${messageOf(error)}`);
      });
      print(scope, report);
      ok &&= report.ok;
    }
    return ok;
  } finally {
    await platform.close();
    await ledger.close();
  }
}

try {
  const wanted = wantedOf(process.argv.slice(2), `usage: npm run integrity -- ${SCOPE_OPTIONS}`);
  process.exitCode = (await checkAll(readConfig(process.env), wanted)) ? 0 : 1;
} catch (error) {
  console.error(`integrity: ${messageOf(error)}`);
  process.exitCode = 2;
}
