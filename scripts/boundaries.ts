/**
 * `npm run check:boundaries`: that no import crosses a boundary, and that this was asked of every source
 * file there is. dependency-cruiser reports success when it sees none, as it does beside a TypeScript it does not know.
 */
import { globSync } from 'node:fs';
import { cruise, type IForbiddenRuleType } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';

/** The boundaries of the architecture, as far as imports can break them. */
const forbidden: IForbiddenRuleType[] = [
  {
    name: 'no-circular',
    comment: 'Files that need each other are one file, or a third one is missing.',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
  {
    name: 'platform-knows-no-service',
    comment: 'What every service stands on must not know any.',
    severity: 'error',
    from: { path: '^src/platform/' },
    to: { path: '^src/(services|demo|main|services\\.ts)', pathNot: '^src/platform/' },
  },
  {
    name: 'services-meet-at-contracts',
    comment: 'Another service is imported through its contract.ts only.',
    severity: 'error',
    from: { path: '^src/services/([^/]+)/' },
    to: { path: '^src/services/', pathNot: ['^src/services/$1/', '^src/services/[^/]+/contract\\.ts$'] },
  },
  {
    name: 'contracts-stand-on-the-platform',
    comment: 'A contract imports the platform only.',
    severity: 'error',
    from: { path: '^src/services/[^/]+/contract\\.ts$' },
    to: { path: '^src/', pathNot: '^src/platform/' },
  },
  {
    name: 'one-door-to-the-database',
    comment:
      'SQL goes through platform/db.ts, which names the tenant; the server and migrations have their own connections.',
    severity: 'error',
    from: {
      path: '^src/',
      pathNot: ['^src/platform/(db|listen|migrate|postgres|cluster|testing)\\.ts$', '\\.test\\.ts$'],
    },
    to: { path: 'node_modules/pg/' },
  },
  {
    name: 'one-door-to-the-outside',
    comment:
      'What is sent elsewhere goes through platform/outgoing.ts, which keeps it out of private networks; what is sent to our own processes is not.',
    severity: 'error',
    from: {
      path: '^src/',
      pathNot: [
        '^src/platform/outgoing\\.ts$',
        '^src/platform/(port/remote|discovery/ready)\\.ts$',
        '\\.test\\.ts$',
      ],
    },
    to: { path: ['node_modules/undici/', '^(node:)?(https|http2)$'] },
  },
  {
    name: 'no-test-code-in-the-product',
    severity: 'error',
    from: { path: '^src/', pathNot: ['\\.test\\.ts$', '(^|/)testing\\.ts$'] },
    to: { path: ['\\.test\\.ts$', '(^|/)testing\\.ts$'] },
  },
  {
    name: 'screens-know-the-api-only',
    comment: 'What is possible on a screen is possible by the public API, whose types are generated.',
    severity: 'error',
    from: { path: '^web/' },
    to: { path: '^(src|tests|scripts|bench)/' },
  },
  {
    name: 'the-server-knows-no-screen',
    severity: 'error',
    from: { path: '^(src|bench)/' },
    to: { path: '^web/' },
  },
  {
    name: 'no-unresolvable',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'no-dev-dependency-in-the-product',
    severity: 'error',
    from: { path: '^src/', pathNot: ['\\.test\\.ts$', '(^|/)testing\\.ts$'] },
    to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
  },
];

/** What is looked at, by the compiler's configuration that says how its imports are found. */
const parts = [
  { roots: ['src', 'tests', 'bench', 'scripts'], config: 'tsconfig.json' },
  { roots: ['web'], config: 'web/tsconfig.json' },
];
let looked = 0;
for (const { roots, config } of parts) looked += await assertWithin(roots, config);
if (process.exitCode === undefined) console.log(`boundaries: ${looked} files looked at, no violation`);

/** The number of files that were looked at. */
async function assertWithin(roots: string[], config: string): Promise<number> {
  const files = globSync(roots.map((root) => `${root}/**/*.{ts,tsx,mjs}`));
  const { output } = await cruise(
    roots,
    {
      validate: true,
      ruleSet: { forbidden },
      tsPreCompilationDeps: true,
      doNotFollow: { path: ['node_modules'] },
      enhancedResolveOptions: {
        exportsFields: ['exports'],
        conditionNames: ['import', 'node', 'default', 'types'],
      },
    },
    undefined,
    { tsConfig: extractTSConfig(config) },
  );
  if (typeof output === 'string') throw new Error('dependency-cruiser did not answer with data');

  const seen = new Set(output.modules.map(({ source }) => source));
  const unseen = files.filter((file) => !seen.has(file));
  if (files.length === 0 || unseen.length > 0) {
    console.error(
      `boundaries: ${unseen.length} of ${files.length} files were not looked at: ${unseen.slice(0, 5).join(', ')}`,
    );
    process.exitCode = 1;
  }
  for (const { rule, from, to } of output.summary.violations) {
    console.error(`boundaries: ${rule.name}: ${from} → ${to}`);
    process.exitCode = 1;
  }
  return files.length;
}
