// What the forms of the pages do: read the fields into JSON, send the request, show the answer below the form.
// Everything works with the keyboard; nothing is fetched from another host.

/** A random UUID (version 4), also where crypto.randomUUID is not: over plain HTTP from another machine. */
function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** The fields directly within a node: not those of a field within a field. */
function fieldsOf(node) {
  return [...node.querySelectorAll('[data-kind]')].filter(
    (field) => field.parentElement.closest('[data-kind]') === node,
  );
}

function controlOf(node) {
  return node.querySelector('input, select, textarea');
}

function rowsOf(node) {
  return [...node.querySelector(':scope > .rows').children];
}

/**
 * The JSON that a field stands for; undefined if it is not sent. Each place of it is noted with its JSON Pointer, so
 * that what a refusal says about it can be shown there. `must` says whether all that it is in will be sent: within an
 * optional object that was left alone nothing is required.
 */
function read(node, pointer, places, must = true) {
  places.set(pointer, node);
  const isRequired = must && node.dataset.required !== undefined;
  switch (node.dataset.kind) {
    case 'object': {
      const members = fieldsOf(node)
        .map((field) => [
          field.dataset.name,
          read(field, `${pointer}/${field.dataset.name}`, places, isRequired),
        ])
        .filter(([, value]) => value !== undefined);
      if (members.length === 0 && !isRequired) return undefined;
      return Object.fromEntries(members);
    }
    case 'money': {
      const [amount, currency] = ['amount', 'currency'].map((part) => {
        const input = node.querySelector(`[data-part="${part}"]`);
        places.set(`${pointer}/${part}`, input.parentElement);
        return input.value.trim();
      });
      if (amount === '' && !isRequired) return undefined;
      return { ...(amount === '' ? {} : { amount }), ...(currency === '' ? {} : { currency }) };
    }
    case 'array': {
      const rows = rowsOf(node);
      if (rows.length === 0 && !isRequired) return undefined;
      return rows.map(
        (row, index) => read(row.querySelector('[data-kind]'), `${pointer}/${index}`, places) ?? null,
      );
    }
    case 'record': {
      const entries = rowsOf(node).map((row) =>
        ['name', 'value'].map((part) => row.querySelector(`[data-part="${part}"]`).value),
      );
      const filled = entries.filter(([name]) => name !== '');
      return filled.length === 0 && !isRequired ? undefined : Object.fromEntries(filled);
    }
    case 'choice': {
      const which = node.querySelector('[data-part="which"]').value;
      if (which === '') return undefined;
      const variant = node.querySelector(`:scope > [data-variant="${which}"] > [data-kind]`);
      return read(variant, pointer, places);
    }
    case 'null':
      return null;
    case 'enum': {
      const { value } = controlOf(node);
      return value === '' ? undefined : JSON.parse(value);
    }
    case 'json': {
      const { value } = controlOf(node);
      if (value.trim() === '') return undefined;
      try {
        return JSON.parse(value);
      } catch {
        return value;
      }
    }
    case 'integer':
    case 'number': {
      const value = controlOf(node).value.trim();
      if (value === '') return undefined;
      // What is no number is sent as it is: the API says what is wrong with it.
      return Number.isFinite(Number(value)) ? Number(value) : value;
    }
    default: {
      const { value } = controlOf(node);
      return value === '' ? undefined : value;
    }
  }
}

function isRaw(form) {
  return form.querySelector('[data-body="raw"]')?.hidden === false;
}

/** Body of the request as text, or undefined if it has none. */
function bodyOf(form, places) {
  const panel = form.querySelector('[data-body="form"]');
  if (panel === null) return undefined;
  if (isRaw(form)) return form.querySelector('[data-body="raw"] textarea').value;
  const root = panel.querySelector('[data-kind]');
  return JSON.stringify(read(root, '', places) ?? null);
}

function requestOf(form) {
  const places = new Map();
  const query = new URLSearchParams();
  for (const control of form.querySelectorAll('.query [name]')) {
    if (control.type === 'checkbox' ? control.checked : control.value !== '')
      query.set(control.name, control.value);
  }
  const headers = {};
  for (const { dataset, value } of form.querySelectorAll('[data-header]')) {
    if (value !== '') headers[dataset.header] = value;
  }
  const search = query.toString();
  const path = form.dataset.path + (search === '' ? '' : `?${search}`);
  return { method: form.dataset.method, path, headers, body: bodyOf(form, places), places };
}

function shellWord(word) {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The same line as curlOf of form.ts writes. */
function showCurl(form) {
  const { method, path, headers, body } = requestOf(form);
  const parts = [
    `curl -s${method === 'GET' ? '' : ` -X ${method}`} ${shellWord(form.dataset.url + path)}`,
    '-H "Authorization: Bearer $FINANCIALAPI_KEY"',
    ...Object.entries(headers).map(([name, value]) => `-H ${shellWord(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d ${shellWord(body)}`]),
  ];
  form.querySelector('.ascurl pre').textContent = parts.join(' \\\n  ');
}

function clearErrors(form) {
  for (const note of form.querySelectorAll('.field-error')) note.remove();
  for (const control of form.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid');
}

/** Puts what a refusal says about a place of the body beside the field it came from. */
function showErrors(answer, places) {
  for (const { dataset, lastChild } of answer.querySelectorAll('[data-pointer]')) {
    const place = places.get(dataset.pointer);
    if (place === undefined || dataset.pointer === '') continue;
    controlOf(place)?.setAttribute('aria-invalid', 'true');
    for (let fold = place.closest('details'); fold !== null; fold = fold.parentElement.closest('details'))
      fold.open = true;
    place.append(make('p', { className: 'field-error', textContent: lastChild.textContent.trim() }));
  }
}

/** The part of a page that shows the answer, or a line about an answer without a page. */
async function answerOf(response, request) {
  const isPage = response.headers.get('content-type')?.startsWith('text/html') === true;
  const found = isPage
    ? new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('answer')
    : null;
  if (found !== null) {
    found.removeAttribute('id');
    return document.adoptNode(found);
  }
  const tone = response.ok ? 'good' : 'bad';
  return make(
    'section',
    { ariaLabel: 'Answer' },
    make(
      'p',
      { className: 'request' },
      make('code', { textContent: `${request.method} ${request.path}` }),
      ' ',
      make('span', { className: `badge ${tone}`, textContent: `${response.status} ${response.statusText}` }),
    ),
  );
}

/** Outcomes that are final under an idempotency key: another attempt is another intention. */
function isFinal(status) {
  return status < 500 && ![401, 403, 409, 428, 429].includes(status);
}

/** What may be done after an answer: look at the resource as it is now, or repeat the very same request. */
function nextSteps(form, response, request) {
  const steps = make('p', { className: 'next' });
  const key = form.querySelector('[data-header="Idempotency-Key"]');
  const isDry = new URLSearchParams(request.path.split('?')[1]).get('dry_run') === 'true';
  if (response.ok && !isDry) {
    steps.append(
      make('a', { href: location.pathname + location.search, textContent: 'Show this page as it is now' }),
    );
  }
  if (key !== null && isFinal(response.status)) {
    const used = key.value;
    if (!isDry) key.value = randomUuid();
    const again = make('button', { type: 'button', className: 'quiet', textContent: 'Put this key back' });
    again.addEventListener('click', () => {
      key.value = used;
      showCurl(form);
      key.focus();
    });
    if (!isDry) steps.append(' Sent with Idempotency-Key ', make('code', { textContent: used }), ' ', again);
  }
  return steps;
}

async function send(form) {
  const output = form.querySelector('output');
  const button = form.querySelector('[data-send]');
  const request = requestOf(form);
  clearErrors(form);
  button.disabled = true;
  output.replaceChildren(make('p', { textContent: 'Sending …' }));
  try {
    const response = await fetch(request.path, {
      method: request.method,
      headers: {
        Accept: 'text/html',
        ...request.headers,
        ...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const answer = await answerOf(response, request);
    const etag = response.headers.get('etag');
    if (response.ok && etag !== null) {
      for (const field of document.querySelectorAll('[data-header="If-Match"]')) field.value = etag;
    }
    output.replaceChildren(answer, nextSteps(form, response, request));
    showErrors(answer, request.places);
    showCurl(form);
    output.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  } catch (error) {
    // The key stays: whether the request arrived is not known, and the same key asks for the outcome.
    output.replaceChildren(
      make('p', {
        className: 'problem',
        role: 'alert',
        textContent: `No answer came (${error.message}). Send again: with the same Idempotency-Key nothing happens twice.`,
      }),
    );
  } finally {
    button.disabled = false;
  }
}

/** Gives what was made from a template ids of its own, so that labels stay bound. */
let copies = 0;
function renumber(fragment) {
  copies += 1;
  for (const element of fragment.querySelectorAll('[id], [for], [list], [aria-describedby]')) {
    for (const name of ['id', 'for', 'list', 'aria-describedby']) {
      const value = element.getAttribute(name);
      if (value !== null && value !== 'currencies') element.setAttribute(name, `${value}-${copies}`);
    }
  }
  for (const template of fragment.querySelectorAll('template')) renumber(template.content);
  return fragment;
}

function selectTab(tab) {
  const form = tab.closest('form');
  for (const other of tab.parentElement.children) {
    const isChosen = other === tab;
    other.setAttribute('aria-selected', String(isChosen));
    other.tabIndex = isChosen ? 0 : -1;
    document.getElementById(other.getAttribute('aria-controls')).hidden = !isChosen;
  }
  const raw = form.querySelector('[data-body="raw"] textarea');
  if (isRaw(form) && raw.dataset.edited === undefined) {
    const root = form.querySelector('[data-body="form"] [data-kind]');
    raw.value = JSON.stringify(read(root, '', new Map()) ?? null, undefined, 2);
  }
  showCurl(form);
}

/** Things that an id may be of, by name, asked for when the field is first used. */
const lists = new Map();
async function suggest(input) {
  const { list } = input.dataset;
  const options = document.getElementById(input.getAttribute('list'));
  if (options === null || options.dataset.filled !== undefined) return;
  options.dataset.filled = '';
  if (!lists.has(list)) {
    lists.set(
      list,
      fetch(`${list}?limit=100`, { headers: { Accept: 'application/json' } }).then((response) =>
        response.ok ? response.json() : { data: [] },
      ),
    );
  }
  const { data } = await lists.get(list).catch(() => ({ data: [] }));
  options.replaceChildren(
    ...data.map((item) =>
      make('option', {
        value: item.id,
        label: [item.name ?? item.description ?? item.kind ?? '', item.currency ?? ''].join(' ').trim(),
      }),
    ),
  );
}

async function copy(button) {
  const source = button.parentElement.querySelector('pre');
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = 'Copied';
  } catch {
    // Only secure contexts may write to the clipboard; a selection can be copied by hand everywhere.
    getSelection().selectAllChildren(source);
    button.textContent = 'Selected';
  }
  setTimeout(() => {
    button.textContent = 'Copy';
  }, 2_000);
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.classList.contains('operation')) {
    event.preventDefault();
    void send(form);
  } else if (form.method === 'get') {
    // An empty option is one that was not chosen, and the API would refuse it.
    const empty = [...form.elements].filter((control) => control.name !== '' && control.value === '');
    for (const control of empty) control.disabled = true;
    setTimeout(() => {
      for (const control of empty) control.disabled = false;
    });
  }
});

document.addEventListener('click', (event) => {
  const target = event.target.closest('button');
  if (target === null) return;
  if (target.dataset.copy !== undefined) void copy(target);
  if (target.getAttribute('role') === 'tab') selectTab(target);
  if (target.dataset.add !== undefined) {
    const rows = target.parentElement.querySelector(':scope > .rows');
    const template = target.parentElement.querySelector(':scope > template');
    rows.append(renumber(template.content.cloneNode(true)));
    rows.lastElementChild.querySelector('input, select, textarea')?.focus();
  }
  if (target.dataset.remove !== undefined) {
    const add = target.closest('fieldset').querySelector(':scope > [data-add]');
    target.parentElement.remove();
    add.focus();
  }
  const form = target.closest('form.operation');
  if (form !== null && target.dataset.send === undefined) showCurl(form);
});

document.addEventListener('keydown', (event) => {
  if (event.target.getAttribute?.('role') !== 'tab' || !['ArrowLeft', 'ArrowRight'].includes(event.key))
    return;
  const other = event.target.nextElementSibling ?? event.target.previousElementSibling;
  other.focus();
  selectTab(other);
});

document.addEventListener('input', (event) => {
  const { target } = event;
  if (target.dataset.part === 'which') {
    for (const variant of target.closest('fieldset').querySelectorAll(':scope > [data-variant]')) {
      variant.hidden = variant.dataset.variant !== target.value;
    }
  }
  if (target.closest('[data-body="raw"]') !== null) target.dataset.edited = '';
  const form = target.closest('form.operation');
  // A native `required` must not stop what is sent as raw JSON.
  if (form !== null) showCurl(form);
});

document.addEventListener('focusin', (event) => {
  if (event.target.dataset.list !== undefined) void suggest(event.target);
});

/** Opens the form that the address names. */
function openNamed() {
  const named = location.hash === '' ? null : document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) named.open = true;
}
addEventListener('hashchange', openNamed);
openNamed();

for (const form of document.querySelectorAll('form.operation')) {
  // Fields within what is hidden cannot be corrected, so the browser must not insist on them.
  form.noValidate = true;
  form.querySelector('[data-send]').addEventListener('click', (event) => {
    const panel = form.querySelector('[data-body="form"]');
    if (panel === null || panel.hidden) return;
    const missing = [...panel.querySelectorAll(':invalid')].find((control) =>
      control.matches('input, select, textarea'),
    );
    if (missing === undefined) return;
    event.preventDefault();
    missing.reportValidity();
  });
}
