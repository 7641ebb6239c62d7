/** Templates: drafts, versions, languages, previews, and what hostile ones and hostile data come to. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { findPlatformTemplate } from './platform-templates.ts';
import { assertPublishable, render } from './render.ts';
import { openNotices } from './testing.ts';
import { channels, DIGEST, sampleOf, topics } from './topics.ts';

const url = '/api/v2/notifications/templates';

let platform: TestPlatform;
let bank: TestTenant;
let notices: ReturnType<typeof openNotices>;
before(async () => {
  platform = await openTestPlatform();
});
after(() => platform.close());
beforeEach(async () => {
  bank = await platform.newTenant();
  notices = openNotices(bank);
});

const draft = (options: object = {}) =>
  bank.post(url, {
    topic: 'announcement',
    channel: 'email',
    language: 'en',
    subject: 'Own: {{ title }}',
    text: '{{ message }}',
    ...options,
  });
const publish = (id: string) => bank.ask('POST', `${url}/${id}/publish`, undefined, { 'if-match': '*' });

async function published(options: object = {}) {
  const { id } = await draft(options);
  const answer = await publish(id);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

test('a draft is edited under its ETag and published once; earlier versions stay, and messages name theirs', async () => {
  const made = await draft();
  assert.deepEqual([made.status, made.number], ['draft', undefined]);
  const at = `${url}/${made.id}`;
  const read = await bank.ask('GET', at);
  const edit = { text: 'Dear customer: {{ message }}' };
  assert.equal((await bank.ask('PATCH', at, edit)).status, 428);
  assert.equal((await bank.ask('PATCH', at, edit, { 'if-match': '"7"' })).status, 412);
  const edited = await bank.ask('PATCH', at, edit, { 'if-match': read.headers['etag'] ?? '' });
  assert.equal(edited.status, 200, edited.text);
  assert.equal((await publish(made.id)).body.number, 1);
  for (const refused of [
    await publish(made.id),
    await bank.ask('PATCH', at, { text: 'x' }, { 'if-match': '*' }),
  ]) {
    assert.deepEqual([refused.status, refused.body.code], [409, 'template_published']);
  }
  const to = await notices.recipient();
  const [first] = await notices.send(to);
  assert.deepEqual(first.template, { id: made.id, number: 1, language: 'en' });
  assert.deepEqual(first.content, { subject: 'Own: Closed', text: 'Dear customer: On Friday' });
  const second = await published({ text: 'Newer: {{ message }}' });
  assert.equal(second.number, 2);
  const [later] = await notices.send(to);
  assert.deepEqual([later.template.id, later.content.text], [second.id, 'Newer: On Friday']);
  assert.deepEqual((await notices.get(first.id)).content, first.content);
  assert.equal((await bank.get(at)).text, 'Dear customer: {{ message }}');
  assert.deepEqual(
    (await bank.get(`${url}?topic=announcement&status=published`)).data.map(
      ({ number }: { number: number }) => number,
    ),
    [2, 1],
  );
});

test('a published template cannot be changed in the database either', async () => {
  const { id } = await published();
  const superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  try {
    await assert.rejects(
      superuser.query(`update notifications.templates set text = 'other' where tenant_id = $1`, [
        bank.scope.tenant_id,
      ]),
      /is published and stays as it is/,
    );
  } finally {
    await superuser.end();
  }
  assert.equal((await bank.get(`${url}/${id}`)).text, '{{ message }}');
});

test('drafts that are published at once get a number each', async () => {
  const drafts = await Promise.all(Array.from({ length: 8 }, () => draft()));
  const answers = await Promise.all(drafts.map(({ id }) => publish(id)));
  assert.deepEqual(
    answers.map(({ body }) => body.number).toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

test('a template that does not parse is refused with the place, and unknown variables when it is published', async () => {
  for (const [part, source, said] of [
    ['text', 'One\nTwo {{ message', /at line 2, column 5: output "\{\{ message" not closed/],
    ['text', '{% if title %}x', /at line 1, column 1: .*not closed/],
    ['subject', '{{ title | shout }}', /undefined filter: shout/],
    ['html', '<p>{{ message | raw }}</p>', /undefined filter: raw/],
    ['text', '{% include "/etc/passwd" %}', /tag "include" not found/],
    ['text', '{% render "x" %}', /tag "render" not found/],
    ['html', '{% layout "x" %}', /tag "layout" not found/],
  ] as const) {
    const body = {
      topic: 'announcement',
      channel: 'email',
      language: 'en',
      subject: 'x',
      text: 'x',
      [part]: source,
    };
    const refused = await bank.ask('POST', url, body);
    assert.deepEqual([refused.status, refused.body.code], [422, 'template_not_sound'], refused.text);
    assert.equal(refused.body.errors[0].pointer, `/${part}`);
    assert.match(refused.body.errors[0].detail, said);
  }
  const { id } = await draft({ text: '{{ message }} {{ balance }} {% for x in title %}{{ x }}{% endfor %}' });
  const refused = await publish(id);
  assert.deepEqual([refused.status, refused.body.code], [422, 'template_not_sound']);
  assert.deepEqual(refused.body.errors, [
    {
      pointer: '/text',
      detail: 'names balance, which the topic announcement does not declare; it declares title, message',
    },
  ]);
  const preview = await bank.ask('GET', `${url}/${id}/preview`);
  assert.match(preview.body.errors[0].detail, /undefined variable: balance/);
  for (const body of [
    { topic: 'announcement', channel: 'email', language: 'en', text: 'no subject' },
    { topic: 'announcement', channel: 'sms', language: 'en', text: 'x', html: '<p>x</p>' },
  ]) {
    assert.equal((await bank.ask('POST', url, body)).body.code, 'template_not_sound');
  }
  // One that would never end, or fill the memory, ends soon and harms nobody.
  for (const text of [
    '{% for i in (1..1000000000) %}x{% endfor %}',
    '{% for i in (1..9000) %}{% for j in (1..9000) %}{{ i | times: j }}{% endfor %}{% endfor %}',
    '{% assign x = title %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}{{ x }}',
  ]) {
    const { id: endless } = await draft({ text });
    const began = performance.now();
    const answer = await publish(endless);
    assert.deepEqual([answer.status, answer.body.code], [422, 'template_not_sound'], answer.text);
    assert.ok(performance.now() - began < 20_000);
  }
});

test('the best language comes first, and in it the template of the institution before the platform’s', async () => {
  const to = await notices.recipient({ language: 'pt-BR' });
  const limits = { ...sampleOf('limits.crossed') };
  const told = async () => {
    const [message] = await notices.send(to, { topic: 'limits.crossed', data: limits });
    return [message.template.language, message.template.id ?? 'platform', message.content.subject];
  };
  assert.deepEqual(await told(), ['pt', 'platform', 'Limite per_minute: 80 % em uso']);
  const text = { topic: 'limits.crossed', text: 'x' };
  await published({ ...text, language: 'en', subject: 'Own English' });
  assert.equal((await told())[1], 'platform');
  const pt = await published({ ...text, language: 'pt', subject: 'Em português' });
  assert.deepEqual(await told(), ['pt', pt.id, 'Em português']);
  await draft({ ...text, language: 'pt-BR', subject: 'Only a draft' });
  assert.deepEqual((await told())[1], pt.id);
  const br = await published({ ...text, language: 'pt-BR', subject: 'Do Brasil' });
  assert.deepEqual(await told(), ['pt-BR', br.id, 'Do Brasil']);
  await notices.edit(to, { language: 'de' });
  assert.deepEqual((await told())[2], 'Own English');

  const preview = (language: string) =>
    bank.get(`/api/v2/notifications/preview?topic=limits.crossed&channel=email&language=${language}`);
  assert.deepEqual([(await preview('pt-PT')).template_id, (await preview('pt-PT')).language], [pt.id, 'pt']);
  assert.equal((await preview('fr')).subject, 'Own English');
  const other = await platform.newTenant();
  const theirs = await other.get(
    '/api/v2/notifications/preview?topic=limits.crossed&channel=email&language=en',
  );
  assert.deepEqual([theirs.subject, theirs.template_id], ['Limit per_minute: 80 % used', undefined]);
  assert.match(theirs.html, /480 of the 600 requests/);
  assert.deepEqual((await bank.get('/api/v2/notifications/outbox?channel=sms')).data, []);
});

test('hostile data are shown as they are: escaped in HTML, and never taken for a template', async () => {
  await published({
    text: '{{ message }}',
    html: '<h1 title="{{ title }}">{{ message }}</h1>{{ message | upcase }}{{ message | append: "<i>" }}',
  });
  const to = await notices.recipient();
  const message = '<script>alert("x")</script> {{ title }} {% include "/etc/passwd" %} {{ 7 | times: 6 }}';
  const [sent] = await notices.send(to, { data: { title: '" onload="x', message } });
  const { subject, text, html } = sent.content;
  assert.equal(text, message);
  assert.equal(subject, 'Own: " onload="x');
  assert.doesNotMatch(html, /<script|<SCRIPT|<i>|title="" onload/);
  assert.match(html, /<h1 title="&#34; onload=&#34;x">&lt;script&gt;/);
  assert.match(html, /\{\{ title \}\} \{% include/);
  assert.match(html, /\{\{ 7 \| times: 6 \}\}/);
});

test('every template of the platform can be published as it is, in both languages and by every channel', () => {
  let seen = 0;
  for (const topic of [...topics.keys(), DIGEST]) {
    for (const channel of channels) {
      const said = ['en', 'pt'].map((language) => {
        const content = findPlatformTemplate(topic, channel, language);
        assert.ok(content !== undefined, `${topic} by ${channel} in ${language}`);
        assertPublishable(topic, channel, content);
        seen += 1;
        const { text, html } = render(content, sampleOf(topic));
        assert.ok(text.trim().length > 0);
        assert.equal(html !== null, channel === 'email');
        return text;
      });
      if (topic !== 'announcement' && topic !== 'account.activity' && topic !== DIGEST)
        assert.notEqual(said[0], said[1]);
    }
  }
  assert.equal(seen, (topics.size + 1) * channels.length * 2);
});
