/** The page on which a person allows an application to act for them, or does not. */
import { type Html, html } from '../../../platform/page/html.ts';

export interface ConsentQuestion {
  application: string;
  tenant: string;
  environment: string;
  person: string;
  /** What is asked for, in words. */
  asked: readonly { scope: string; meaning: string }[];
  /** What is asked for and the person may not do, which nobody can give. */
  withheld: readonly string[];
  action: string;
}

const identityMeanings: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  profile: 'See your name',
  email: 'See your e-mail address',
  offline_access: 'Act for you while you are away, until you take this back',
};

/** What a scope lets an application do, in words. */
export function meaningOf(scope: string, permissions: Readonly<Record<string, { meaning: string }>>): string {
  return identityMeanings[scope] ?? permissions[scope]?.meaning ?? scope;
}

export function consentPage(question: ConsentQuestion): Html {
  const { application, tenant, environment, person, asked, withheld, action } = question;
  return html`<h1>${application} asks to act for you</h1>
<p>You are <strong>${person}</strong> at ${tenant}, <span class="badge">${environment}</span>. If you allow it, <strong>${application}</strong> may:</p>
<ul>${asked.map(({ scope, meaning }) => html`<li>${meaning} <code>${scope}</code></li>`)}</ul>
${withheld.length === 0 ? '' : html`<p>It also asks for what you may not do yourself, and does not get that: ${withheld.join(', ')}.</p>`}
<form method="post" action="${action}">
<button class="primary" name="answer" value="allow">Allow</button>
<button class="quiet" name="answer" value="deny">Do not allow</button>
</form>
<p>You can take it back at any time.</p>`;
}
