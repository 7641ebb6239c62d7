// Asks the browser for a passkey on the pages that sign people in. What is shown and where it leads is in the markup.

const refusal = 'No passkey was shown. Try again, or sign in another way.';

async function post(path, body) {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
  });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail ?? refusal);
  return content;
}

/** @param signIn names the sign-in under way that the passkey is the second factor of; absent where it stands alone */
async function showPasskey(signIn) {
  const under = signIn === undefined ? {} : { sign_in: signIn };
  const options = await post('/identity/sign-in/passkey/options', under);
  const credential = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
  });
  if (credential === null) throw new Error(refusal);
  await post('/identity/sign-in/passkey', { ...under, credential: credential.toJSON() });
}

const canAsk = typeof globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === 'function';

for (const section of document.querySelectorAll('[data-passkey]')) {
  const button = section.querySelector('button');
  const problem = section.querySelector('[role="alert"]');
  section.querySelector('[data-can]').hidden = !canAsk;
  section.querySelector('[data-cannot]').hidden = canAsk;
  const ask = async () => {
    button.disabled = true;
    problem.hidden = true;
    try {
      await showPasskey(section.dataset.signIn);
      location.assign(section.dataset.next);
    } catch (error) {
      // What the browser itself says, as of a person who cancelled, is for developers.
      problem.textContent =
        error instanceof DOMException || error instanceof TypeError ? refusal : error.message;
      problem.hidden = false;
      button.disabled = false;
      button.focus();
    }
  };
  button.addEventListener('click', () => {
    void ask();
  });
}
