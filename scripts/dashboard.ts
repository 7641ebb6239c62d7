/**
 * `npm run dashboard`: writes Grafana's dashboard, which is made here by Grafana's own SDK so that its types say whether
 * it is one. With `--check` it writes nothing and fails if the file is not as it would be written.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { VizLegendOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

const path = new URL('../deploy/grafana/dashboards/financialapi.json', import.meta.url).pathname;

interface Panel {
  title: string;
  /** What it shows and what is well, for whoever sees it for the first time. */
  description: string;
  /** As Grafana names units. */
  unit: string;
  /** Expressions by what their lines are called. */
  lines: Readonly<Record<string, string>>;
}

const rate = (metric: string, by = '') =>
  `sum${by === '' ? '' : ` by (${by})`} (rate(${metric}[$__rate_interval]))`;
const quantile = (share: number, histogram: string, { where = '', by = '' } = {}) =>
  `histogram_quantile(${share}, ${rate(`${histogram}_bucket${where}`, `le${by}`)})`;
const quantiles = (histogram: string, where = '') => ({
  'half are faster': quantile(0.5, histogram, { where }),
  '95 of 100 are faster': quantile(0.95, histogram, { where }),
  '99 of 100 are faster': quantile(0.99, histogram, { where }),
});
/** Requests that end by themselves; a stream of events lasts as long as somebody listens. */
const ending = '{route!="/api/v2/events/stream"}';

const rows: Readonly<Record<string, readonly Panel[]>> = {
  Requests: [
    {
      title: 'Requests by status',
      description: 'Answers a second, by their status.',
      unit: 'reqps',
      lines: { '{{status}}': rate('http_request_duration_seconds_count', 'status') },
    },
    {
      title: 'Failures of ours',
      description: 'Share of the answers that are 5xx. None is normal.',
      unit: 'percentunit',
      lines: {
        '5xx': `${rate('http_request_duration_seconds_count{status=~"5.."}')} / ${rate('http_request_duration_seconds_count')}`,
      },
    },
    {
      title: 'Time of requests',
      description:
        'From the first byte of a request to the end of its answer. Streams of events are left out.',
      unit: 's',
      lines: quantiles('http_request_duration_seconds', ending),
    },
    {
      title: 'Slowest routes',
      description: 'The time that 99 of 100 requests to a route stay below.',
      unit: 's',
      lines: {
        '{{route}}': `topk(10, ${quantile(0.99, 'http_request_duration_seconds', { where: ending, by: ', route' })})`,
      },
    },
    {
      title: 'Without a good credential',
      description: 'Requests refused for want of one. A rise may be somebody who guesses.',
      unit: 'reqps',
      lines: { refused: rate('http_unauthenticated_total') },
    },
    {
      title: 'Audit trail',
      description:
        'Records written a second, records that wait for their commit, and records given up: never one.',
      unit: 'short',
      lines: {
        'written, {{outcome}}': rate('audit_records_total', 'outcome'),
        waiting: 'sum (audit_records_waiting)',
        lost: 'sum (increase(audit_records_lost_total[$__rate_interval]))',
      },
    },
  ],
  Postings: [
    {
      title: 'Postings by outcome',
      description: 'Commands a second by what they came to: posted, replayed, or the code of their refusal.',
      unit: 'ops',
      lines: { '{{outcome}}': rate('ledger_commands_total', 'outcome') },
    },
    {
      title: 'Queue of postings',
      description: 'Commands that wait for a commit. At QUEUE_LIMIT further ones are refused with 503.',
      unit: 'short',
      lines: { waiting: 'sum (ledger_posting_queue_depth)' },
    },
    {
      title: 'Batches',
      description: 'Commits a second, and how many commands share one. Under load fewer commits carry more.',
      unit: 'short',
      lines: {
        'commits a second': rate('ledger_batch_commands_count'),
        'commands a commit': `${rate('ledger_batch_commands_sum')} / ${rate('ledger_batch_commands_count')}`,
      },
    },
    {
      title: 'Time of a batch',
      description: 'From the call that posts a batch to its commit.',
      unit: 's',
      lines: quantiles('ledger_batch_duration_seconds'),
    },
  ],
  Events: [
    {
      title: 'Events that consumers have yet to receive',
      description: 'By consumer; each counts to 10,000 a partition. It should fall back to none.',
      unit: 'short',
      lines: { '{{consumer}}': 'max by (consumer) (events_consumer_lag)' },
    },
    {
      title: 'Events held',
      description: 'Parked ones wait for somebody to redrive them; others are tried again by themselves.',
      unit: 'short',
      lines: {
        'parked, {{consumer}}': 'max by (consumer) (events_parked)',
        'tried again, {{consumer}}': 'max by (consumer) (events_retrying)',
      },
    },
    {
      title: 'Events not carried yet',
      description: 'What is in outboxes and not in the log.',
      unit: 'short',
      lines: { waiting: 'max (events_relay_lag)' },
    },
    {
      title: 'Age of the oldest event not carried yet',
      description: 'A second is normal; a minute means that no process carries.',
      unit: 's',
      lines: { oldest: 'max (events_relay_oldest_seconds)' },
    },
  ],
  Jobs: [
    {
      title: 'Runs by outcome',
      description: 'Attempts at runs of jobs in the last hour.',
      unit: 'short',
      lines: { '{{job}}, {{outcome}}': 'sum by (job, outcome) (increase(jobs_runs_total[1h]))' },
    },
    {
      title: 'Oldest run that has not ended',
      description: 'By job. What waits for long waits for a process, or for its next attempt.',
      unit: 's',
      lines: { '{{job}}': 'max by (job) (jobs_oldest_wait_seconds)' },
    },
    {
      title: 'Since the last success',
      description: 'By job, for whichever tenant that was.',
      unit: 's',
      lines: { '{{job}}': 'min by (job) (jobs_last_success_age_seconds)' },
    },
    {
      title: 'Time of an attempt',
      description: 'Of all jobs together.',
      unit: 's',
      lines: quantiles('jobs_attempt_duration_seconds'),
    },
  ],
  Webhooks: [
    {
      title: 'Deliveries by outcome',
      description: 'Attempts a second.',
      unit: 'ops',
      lines: { '{{outcome}}': rate('webhooks_deliveries_total', 'outcome') },
    },
    {
      title: 'Deliveries that are due',
      description: 'What should have been sent by now.',
      unit: 'short',
      lines: { due: 'max (webhooks_deliveries_due)' },
    },
    {
      title: 'Longest overdue delivery',
      description: 'Seconds are normal.',
      unit: 's',
      lines: { oldest: 'max (webhooks_oldest_due_seconds)' },
    },
    {
      title: 'Time of a webhook',
      description: 'From the request to the end of the answer, of all endpoints together.',
      unit: 's',
      lines: quantiles('webhooks_attempt_duration_seconds'),
    },
    {
      title: 'Endpoints that are disabled',
      description: 'By hand, since they were gone, or since they failed for days.',
      unit: 'short',
      lines: { disabled: 'max (webhooks_endpoints_disabled)' },
    },
  ],
  Notifications: [
    {
      title: 'Messages by channel and outcome',
      description: 'Attempts a second.',
      unit: 'ops',
      lines: { '{{channel}}, {{outcome}}': rate('notifications_messages_total', 'channel, outcome') },
    },
    {
      title: 'Messages that are due',
      description: 'What should have been sent by now.',
      unit: 'short',
      lines: { due: 'max (notifications_due)' },
    },
    {
      title: 'Longest overdue message',
      description: 'Seconds are normal.',
      unit: 's',
      lines: { oldest: 'max (notifications_oldest_due_seconds)' },
    },
  ],
  'Services apart': [
    {
      title: 'Calls between services',
      description: 'Calls a second by who is asked and what came of it.',
      unit: 'ops',
      lines: { '{{service}}, {{outcome}}': rate('port_calls_total', 'service, outcome') },
    },
    {
      title: 'Instances that can be asked',
      description: 'As the process knows it that finds the fewest. None means that calls are refused.',
      unit: 'short',
      lines: { '{{service}}': 'min by (service) (port_instances_ready)' },
    },
  ],
  'Database and processes': [
    {
      title: 'Connections to PostgreSQL',
      description: 'Open ones by the role that is signed in, and those of them that nobody uses.',
      unit: 'short',
      lines: {
        'open, {{role}}': 'sum by (role) (database_connections_open)',
        'idle, {{role}}': 'sum by (role) (database_connections_idle)',
      },
    },
    {
      title: 'Waiting for a connection',
      description: 'Requests that wait for one, by role. None is normal; otherwise see POOL_SIZE.',
      unit: 'short',
      lines: { '{{role}}': 'sum by (role) (database_connections_waiting)' },
    },
    {
      title: 'Processor',
      description: 'Processors that each process uses. At one it does all that it can.',
      unit: 'short',
      lines: { '{{instance}}': 'rate(process_cpu_seconds_total[$__rate_interval])' },
    },
    {
      title: 'Memory',
      description: 'Of each process, resident.',
      unit: 'bytes',
      lines: { '{{instance}}': 'process_resident_memory_bytes' },
    },
    {
      title: 'Delay of the event loop',
      description: 'The time that 99 of 100 turns are late by at most. Above half a second requests feel it.',
      unit: 's',
      lines: { '{{instance}}': 'nodejs_eventloop_lag_p99_seconds' },
    },
    {
      title: 'Spans',
      description: 'By what became of them. There are none without OTEL_EXPORTER_OTLP_ENDPOINT.',
      unit: 'ops',
      lines: { '{{outcome}}': rate('traces_spans_total', 'outcome') },
    },
  ],
};

const datasource = { type: 'prometheus', uid: '${datasource}' };
// biome-ignore format: one thing a line
const dashboard = new DashboardBuilder('financialapi')
  .uid('financialapi')
  .description('Requests, postings, events, jobs and what they stand on.')
  .tags(['financialapi'])
  .editable()
  .refresh('30s')
  .time({ from: 'now-6h', to: 'now' })
  .timezone('browser')
  .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'));
let id = 0;
for (const [row, panels] of Object.entries(rows)) {
  id += 1;
  dashboard.withRow(new RowBuilder(row).id(id));
  for (const { title, description, unit, lines } of panels) {
    id += 1;
    const panel = new PanelBuilder()
      .id(id)
      .title(title)
      .description(description)
      .unit(unit)
      .min(0)
      .datasource(datasource)
      .legend(new VizLegendOptionsBuilder().showLegend(true))
      .height(8)
      .span(8);
    for (const [index, [legend, expression]] of Object.entries(lines).entries()) {
      panel.withTarget(
        new DataqueryBuilder()
          .refId(String.fromCodePoint(65 + index))
          .datasource(datasource)
          .expr(expression)
          .legendFormat(legend)
          .range(),
      );
    }
    dashboard.withPanel(panel);
  }
}

const text = `${JSON.stringify(dashboard.build(), null, 2)}\n`;
if (!process.argv.includes('--check')) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  console.log('wrote deploy/grafana/dashboards/financialapi.json');
} else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
  console.error(
    'deploy/grafana/dashboards/financialapi.json is not what the code says: run `npm run dashboard` and commit it',
  );
  process.exitCode = 1;
} else console.log('deploy/grafana/dashboards/financialapi.json is up to date');
