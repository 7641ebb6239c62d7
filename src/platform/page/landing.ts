/** `/`: what this is, a way in, and a first transfer. Knows the API as any client does: by its URLs. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Access } from '../access/access.ts';
import { type Api, KEY_COOKIE } from '../http.ts';
import { newUuid } from '../ids.ts';
import type { Endpoints } from './endpoints.ts';
import { curlBlock, shellWord } from './form.ts';
import { type Content, type Html, html } from './html.ts';
import { prefersPage, sendPage } from './layout.ts';
import { findCaller, loginForms } from './login.ts';
import { wholeAmount } from './schema.ts';

export interface LandingOptions {
  access: Access;
  /** Whether the screens are served, too. */
  hasScreens: boolean;
  endpoints: Endpoints;
  publicUrl: () => string;
  findDemoKey: () => string | undefined;
}

const AccountList = Type.Object({
  data: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      currency: Type.String(),
      type: Type.String(),
      status: Type.String(),
      available: Type.Union([Type.Object({ amount: Type.String() }), Type.Null()]),
    }),
  ),
});
type Account = Static<typeof AccountList>['data'][number];

/** Two customers' accounts between which one unit can move. */
async function findPair(app: Api, key: string): Promise<[Account, Account] | undefined> {
  const answer = await app.inject({
    url: '/api/v2/accounts?limit=100&status=open&type=liability',
    headers: { authorization: `Bearer ${key}` },
  });
  const list: unknown = answer.statusCode === 200 ? answer.json() : undefined;
  if (!Value.Check(AccountList, list)) return undefined;
  for (const from of list.data) {
    if (from.available !== null && !/^[1-9]/.test(from.available.amount)) continue;
    const to = list.data.find(({ id, currency }) => id !== from.id && currency === from.currency);
    if (to !== undefined) return [from, to];
  }
  return undefined;
}

interface Shell {
  url: string;
  /** The key as it stands in a command: itself, or a variable. */
  key: string;
}

function post({ url, key }: Shell, path: string, body: string): string {
  return [
    `curl -s -X POST ${shellWord(url + path)}`,
    `-H "Authorization: Bearer ${key}"`,
    `-H 'Idempotency-Key: ${newUuid()}'`,
    `-H 'Content-Type: application/json'`,
    `-d ${body}`,
  ].join(' \\\n  ');
}

function transferBetween(shell: Shell, [from, to]: [Account, Account]): string {
  const body = {
    debit_account_id: from.id,
    credit_account_id: to.id,
    amount: { amount: wholeAmount(1n, from.currency), currency: from.currency },
    description: 'My first transfer',
  };
  return post(shell, '/api/v2/transfers', shellWord(JSON.stringify(body)));
}

/** Commands that make whatever a first transfer needs. Proven by page.test.ts, which runs them in a shell. */
function transferFromNothing(shell: Shell): string {
  const id = `sed -n 's/.*"id":"\\(acc_[^"]*\\)".*/\\1/p'`;
  const open = (body: object) =>
    `$(${post(shell, '/api/v2/accounts', shellWord(JSON.stringify(body)))} | ${id})`;
  const code = (body: object) => post(shell, '/api/v2/chart-of-accounts', shellWord(JSON.stringify(body)));
  return [
    '# two codes in the chart of accounts (said to be taken, if they are there)',
    code({ code: '1100', name: 'Cash and reserves', type: 'asset' }),
    code({ code: '2100', name: 'Customer deposits', type: 'liability' }),
    '# two accounts: our cash, and a customer',
    `CASH=${open({ name: 'Cash', currency: 'BRL', chart_code: '1100', credit_limit: null })}`,
    `ANA=${open({ name: 'Ana', currency: 'BRL', chart_code: '2100' })}`,
    '# Ana brings 10 BRL in cash',
    post(
      shell,
      '/api/v2/transfers',
      `"{\\"debit_account_id\\":\\"$CASH\\",\\"credit_account_id\\":\\"$ANA\\",\\"amount\\":{\\"amount\\":\\"10.00\\",\\"currency\\":\\"BRL\\"}}"`,
    ),
  ].join('\n');
}

/** What there is to look at: every GET that needs nothing to be known first. */
function resources(endpoints: Endpoints) {
  return endpoints
    .all()
    .filter(
      ({ method, template, changes_state, query }) =>
        method === 'GET' && !changes_state && !template.includes(':') && (query?.required ?? []).length === 0,
    )
    .map(({ template, summary, tag, deprecated }) => ({ href: template, title: summary, tag, deprecated }));
}

const own = [
  { href: '/docs', title: 'Reference, to read and to try' },
  { href: '/openapi.json', title: 'OpenAPI 3.1, for code generators' },
  { href: '/errors', title: 'Errors: every code and what to do' },
  { href: '/livez', title: 'Alive?' },
  { href: '/readyz', title: 'Ready?' },
  { href: '/metrics', title: 'Metrics, for Prometheus' },
] as const;

/** The screens, for whoever would rather not see the API itself. */
const screens = [
  { href: '/console', title: 'Console: the back office, for who works at an institution' },
  { href: '/portal', title: 'Developer portal: explore the API, sign up, try it in a sandbox' },
] as const;

function linkList(links: readonly { href: string; title: string; deprecated?: boolean }[]): Html {
  return html`<ul class="links">${links.map(({ href, title, deprecated }) => html`<li><a href="${href}">${title || href}</a>${deprecated === true ? html` <span class="badge">deprecated</span>` : ''}<br><code>${href}</code></li>`)}</ul>`;
}

export function mountLanding(app: Api, options: LandingOptions): void {
  const { access, endpoints, publicUrl, findDemoKey, hasScreens } = options;
  const description =
    'The back office of a financial institution, offered as APIs: a double-entry ledger with accounts, transfers and holds, in any currency.';

  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    const url = publicUrl();
    if (!prefersPage(request)) {
      const absolute = ({ href, title }: { href: string; title: string }) => ({ href: url + href, title });
      reply.header('vary', 'Accept');
      return {
        name: 'financialapi',
        description,
        resources: resources(endpoints).map(absolute),
        documentation: own.slice(0, 3).map(absolute),
        operation: own.slice(3).map(absolute),
      };
    }
    const caller = await findCaller(request, access);
    const key = request.cookies[KEY_COOKIE];
    const demoKey = findDemoKey();
    const isDemo = caller !== undefined && key !== undefined && key === demoKey;
    const shell: Shell = { url, key: isDemo ? key : '$FINANCIALAPI_KEY' };
    const pair = caller === undefined || key === undefined ? undefined : await findPair(app, key);
    const canTransfer = endpoints.at('/api/v2/transfers').some(({ endpoint }) => endpoint.method === 'POST');

    const firstTransfer: Content = !canTransfer
      ? ''
      : html`<section><h2>A first transfer</h2>
${isDemo ? html`<p>Paste this into a shell. It carries the demo's key and an idempotency key: paste it twice, and the money still moves once.</p>` : html`<p>Put your key into the environment, then paste this into a shell${pair === undefined ? '' : '. It carries an idempotency key: paste it twice, and the money still moves once'}.</p>${curlBlock("export FINANCIALAPI_KEY='fa_test_…'")}`}
${pair === undefined ? '' : html`<p>One ${pair[0].currency} moves from ${pair[0].name} to ${pair[1].name}.</p>`}
${curlBlock(pair === undefined ? transferFromNothing(shell) : transferBetween(shell, pair))}
<p>Or by hand: open <a href="/api/v2/transfers#post-api-v2-transfers">transfers</a> and fill in the form.</p></section>`;

    const groups = new Map<string, ReturnType<typeof resources>>();
    for (const resource of resources(endpoints)) {
      const group = resource.deprecated || resource.href.startsWith('/api/v1/') ? 'the first API, kept' : '';
      groups.set(group, [...(groups.get(group) ?? []), resource]);
    }
    return sendPage(reply, {
      title: 'Start',
      caller,
      url: '/',
      content: html`<section class="hero"><h1>financialapi</h1>
<p class="lead">${description} Every URL of the API opens in a browser as a page with forms, and answers programs in JSON.</p>
${caller === undefined ? html`<div class="card">${loginForms({ next: '/', demoOffered: demoKey !== undefined, message: undefined })}</div>` : html`<p class="notice">You are logged in to <strong>${caller.tenant_name}</strong> (${caller.environment}). <a href="/api/v2/accounts">See its accounts</a>.</p>`}</section>
${hasScreens ? html`<section><h2>Screens</h2>${linkList(screens)}</section>` : ''}
${firstTransfer}
<section><h2>Where to go</h2>${[...groups].map(([group, links]) => html`${group === '' ? '' : html`<h3>${group}</h3>`}${linkList(links)}`)}</section>
<section><h2>For developers and operators</h2>${linkList(own)}</section>`,
    });
  });
}
