/** The page on which a person allows an application to act for them, or does not. */
import { type Html, html } from '../../../platform/page/html.ts';

/** What is asked for, and in words. */
interface Asked {
  scope: string;
  meaning: string;
}

export interface ConsentQuestion {
  application: string;
  tenant: string;
  environment: string;
  person: { name: string; email: string };
  /** Host that the browser is sent back to, whatever is answered. */
  returns_to: string;
  asked: readonly Asked[];
  /** What is asked for and the person may not do, which nobody can give. */
  withheld: readonly Asked[];
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

function list(asked: readonly Asked[]): Html {
  return html`<ul class="asked">${asked.map(({ scope, meaning }) => html`<li>${meaning} <code>${scope}</code></li>`)}</ul>`;
}

export function consentPage(question: ConsentQuestion): Html {
  const { application, tenant, environment, person, returns_to, asked, withheld, action } = question;
  return html`<h1>${application} asks to act for you</h1>
<section class="card">
<p>You are <strong>${person.name}</strong> (${person.email}) at <strong>${tenant}</strong> <span class="badge">${environment}</span></p>
<h2>If you allow it, ${application} may</h2>
${list(asked)}
${withheld.length === 0 ? '' : html`<h3>Asked for, too, but not yours to give</h3>${list(withheld)}`}
<form method="post" action="${action}" class="choice">
<button name="answer" value="deny">Do not allow</button>
<button class="primary" name="answer" value="allow">Allow</button>
</form>
<p><small>Either answer leads back to <strong>${returns_to}</strong>. What you allow you can take back at any time.</small></p>
</section>`;
}
