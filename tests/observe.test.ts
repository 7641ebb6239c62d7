/**
 * What Grafana and Prometheus are given: the dashboard is what the code makes, every expression is PromQL of metrics and
 * labels that a running server tells, every alert fires when it should and says what to do.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parser } from '@prometheus-io/lezer-promql';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';

const root = new URL('..', import.meta.url).pathname;
const prometheus = join(root, 'deploy/prometheus');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const Dashboard = Type.Object({
  panels: Type.Array(
    Type.Object({
      title: Type.String(),
      type: Type.String(),
      targets: Type.Optional(Type.Array(Type.Object({ expr: Type.String(), legendFormat: Type.String() }))),
    }),
  ),
});

interface Expression {
  where: string;
  text: string;
}

/** What Grafana puts in for its variable. */
const inserted = (expression: string) => expression.replaceAll('$__rate_interval', '5m');

function ofDashboard(): Expression[] {
  const { panels } = Value.Parse(Dashboard, JSON.parse(read('deploy/grafana/dashboards/financialapi.json')));
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: title, text: inserted(expr) })),
  );
}

interface Alert {
  name: string;
  text: string;
  runbook: string;
}

/** The alerts, of which promtool says that they are well-formed. */
function alerts(): Alert[] {
  const [, ...rules] = read('deploy/prometheus/alerts.yml').split(/^ {6}- alert: /m);
  return rules.map((rule) => {
    const member = (name: string) => new RegExp(`^ +${name}: (.+)$`, 'm').exec(rule)?.[1] ?? '';
    assert.match(member('for'), /^\d+[smh]$/, rule);
    assert.match(member('severity'), /^(critical|warning|info)$/, rule);
    assert.ok(member('summary').length > 10, rule);
    return {
      name: rule.split('\n')[0] ?? '',
      text: member('expr').slice(1, -1).replaceAll("''", "'"),
      runbook: member('runbook'),
    };
  });
}

/** Each metric that an expression asks for, with the labels that it chooses by. Throws for what is no PromQL. */
function selectionsOf({ where, text }: Expression): { metric: string; labels: string[] }[] {
  const found: { metric: string; labels: string[] }[] = [];
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      if (type.isError) assert.fail(`${where} is no PromQL: ${text.slice(0, from)}⚠${text.slice(from)}`);
      if (type.name !== 'VectorSelector') return;
      const metric = /^[a-zA-Z_:][\w:]*/.exec(text.slice(from, to))?.[0] ?? '';
      const labels: string[] = [];
      node.cursor().iterate((inner) => {
        if (inner.type.name === 'LabelName') labels.push(text.slice(inner.from, inner.to));
      });
      found.push({ metric, labels });
    },
  });
  assert.ok(found.length > 0, `${where} asks for no metric: ${text}`);
  return found;
}

/** What Prometheus itself knows of each process that it scrapes. */
const ofPrometheus = new Set(['up']);
const labelsOfPrometheus = new Set(['job', 'instance']);
/** Metrics of services that may not be there. */
const isOfAbsentService = (metric: string) =>
  ['webhooks', 'notifications'].some(
    (name) => metric.startsWith(`${name}_`) && !services.some((service) => service.name === name),
  );

let platform: TestPlatform;
let scraped = '';
before(async () => {
  platform = await openTestPlatform({
    // Nobody is there, and nothing is sent: only the metric is wanted.
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    OTEL_TRACES_SAMPLER: 'always_off',
  });
  const tenant = await platform.newTenant();
  await tenant.get('/api/v2/accounts');
  const answer = await tenant.ask('GET', '/metrics');
  scraped = answer.text;
});
after(() => platform?.close());

/** The names under which a metric is asked for, by those that a scrape declares. */
function declared(): Set<string> {
  return new Set(
    [...scraped.matchAll(/^# TYPE (\S+) (\w+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

test('the dashboard is what the code makes', () => {
  const said = execFileSync(process.execPath, [join(root, 'scripts/dashboard.ts'), '--check'], {
    encoding: 'utf8',
  });
  assert.match(said, /is up to date/);
});

test('each expression of dashboard and alerts is PromQL of metrics and labels that a server tells', () => {
  const expressions = [...ofDashboard(), ...alerts().map(({ name, text }) => ({ where: name, text }))];
  const metrics = declared();
  const unknown: string[] = [];
  let asked = 0;
  for (const expression of expressions) {
    for (const { metric, labels } of selectionsOf(expression)) {
      asked += 1;
      if (ofPrometheus.has(metric) || isOfAbsentService(metric)) continue;
      if (!metrics.has(metric)) unknown.push(`${expression.where}: ${metric}`);
      const sample = new RegExp(`^${metric}\\{(.*)\\} `, 'm').exec(scraped)?.[1];
      if (sample === undefined) continue;
      const there = new Set([...sample.matchAll(/(\w+)="/g)].map(([, label = '']) => label));
      for (const label of labels) {
        if (!there.has(label) && !labelsOfPrometheus.has(label)) {
          unknown.push(`${expression.where}: ${metric} by ${label}`);
        }
      }
    }
  }
  assert.deepEqual(unknown, []);
  assert.ok(asked > 60, `${asked} metrics were looked for`);
});

test('what is no PromQL, and what no server tells, would be noticed', () => {
  assert.throws(() => selectionsOf({ where: 'x', text: 'sum(rate(a[5m])' }), /no PromQL/);
  assert.throws(() => selectionsOf({ where: 'x', text: '1 + 1' }), /no metric/);
  assert.deepEqual(selectionsOf({ where: 'x', text: 'sum by (b) (rate(a{c=~"d"}[5m])) / e' }), [
    { metric: 'a', labels: ['c'] },
    { metric: 'e', labels: [] },
  ]);
  assert.equal(declared().has('ledger_posting_queue_deep'), false);
});

test('each of our metrics that tells of trouble is in the dashboard', () => {
  const shown = new Set(ofDashboard().flatMap((one) => selectionsOf(one).map(({ metric }) => metric)));
  const ours = [...declared()].filter(
    (name) =>
      /^(http|ledger|events|jobs|audit|database|webhooks|notifications|port|traces)_/.test(name) &&
      !/_(sum|bucket|count)$/.test(name),
  );
  assert.ok(ours.length > 15, ours.join(' '));
  assert.deepEqual(
    ours.filter((name) => !shown.has(name)),
    [],
  );
});

test('each alert says what to do, in a section of the guide', () => {
  const headings = new Set(
    [...read('docs/guides/observe.md').matchAll(/^#+ +(\w+)$/gm)].map(([, name = '']) => name),
  );
  const all = alerts();
  assert.ok(all.length > 10);
  for (const { name, runbook } of all) {
    assert.equal(runbook, `docs/guides/observe.md#${name.toLowerCase()}`);
    assert.ok(headings.has(name), `the guide has no section ${name}`);
  }
});

// In CI it must be there: what is skipped there is seen by nobody.
const skip =
  process.env['CI'] === 'true' || spawnSync('promtool', ['--version']).status === 0
    ? false
    : 'promtool is not here (Debian: prometheus)';

test('promtool accepts the rules and the example, and each alert fires when it should and only then', {
  skip,
}, () => {
  const promtool = (...args: string[]) =>
    execFileSync('promtool', args, { cwd: prometheus, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.match(promtool('check', 'rules', 'alerts.yml'), new RegExp(`${alerts().length} rules found`));
  assert.match(promtool('check', 'config', 'prometheus.yml'), /1 rule files found/);
  promtool('test', 'rules', 'alerts.test.yml');
  const tried = [
    ...read('deploy/prometheus/alerts.test.yml').matchAll(/^ {2}- name: '(\w+) (fires|does not fire)'$/gm),
  ];
  assert.deepEqual(
    tried.map(([, name, how]) => `${name} ${how}`).toSorted(),
    alerts()
      .flatMap(({ name }) => [`${name} does not fire`, `${name} fires`])
      .toSorted(),
  );
});
