import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { openTestPlatform, type TestPlatform } from '../testing.ts';
import { generatedOpenApi, operationIdOf } from './openapi.ts';
import { isObject } from './page/json.ts';

let platform: TestPlatform;
before(async () => {
  platform = await openTestPlatform();
});
after(() => platform.close());

async function documentOf() {
  const answer = await platform.running.app.inject({ url: '/openapi.json' });
  assert.equal(answer.statusCode, 200);
  return answer.json();
}

/** Every object within a value. */
function* objectsIn(value: unknown): Generator<Record<string, unknown>> {
  if (Array.isArray(value)) for (const item of value) yield* objectsIn(item);
  if (!isObject(value)) return;
  yield value;
  for (const member of Object.values(value)) yield* objectsIn(member);
}

function operationsOf(document: { paths: Record<string, Record<string, Record<string, unknown>>> }) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
}

test('the document is valid OpenAPI 3.1, and every reference in it resolves', async () => {
  const document = await documentOf();
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors));
  assert.equal(document.openapi, '3.1.0');
  assert.deepEqual(document.servers, [{ url: platform.running.url }]);
  assert.equal(document.components.securitySchemes.key.scheme, 'bearer');
  let references = 0;
  for (const { $ref } of objectsIn(document)) {
    if (typeof $ref !== 'string') continue;
    references += 1;
    const name = /^#\/components\/schemas\/(.+)$/.exec($ref)?.[1] ?? '';
    assert.ok(name in document.components.schemas, $ref);
  }
  assert.ok(references > 20);
});

test('the check is one: what is not OpenAPI is refused', async () => {
  const document = await documentOf();
  document.paths['/api/v2/accounts'].get.responses = 'none';
  assert.equal((await new Validator().validate(document)).valid, false);
});

test('every operation has a summary, a tag and an id of its own', async () => {
  const operations = operationsOf(await documentOf());
  assert.ok(operations.length > 10);
  for (const { path, method, operation } of operations) {
    assert.ok(operation['summary'], `${method} ${path} has no summary`);
    assert.ok(Array.isArray(operation['tags']), `${method} ${path} has no tag`);
  }
  const ids = operations.map(({ operation }) => operation['operationId']);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(
    operationIdOf('get', '/api/v2/accounts/{account_id}/entries'),
    'getAccountsByAccountIdEntries',
  );
});

test('every example of a body fits its schema', async () => {
  const document = await documentOf();
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  let examples = 0;
  for (const { path, method, operation } of operationsOf(document)) {
    const body = operation['requestBody'];
    const media =
      isObject(body) && isObject(body['content']) ? body['content']['application/json'] : undefined;
    if (!isObject(media)) continue;
    examples += 1;
    const check = ajv.compile({ ...Object(media['schema']), components: document.components });
    assert.ok(check(media['example']), `${method} ${path}: ${ajv.errorsText(check.errors)}`);
  }
  assert.ok(examples > 5);
});

test('docs/generated/openapi.json is what the code says', () => {
  const kept = readFileSync(new URL('../../docs/generated/openapi.json', import.meta.url), 'utf8');
  assert.equal(
    kept === generatedOpenApi(platform.running.app),
    true,
    'run `npm run docs` and commit what changed',
  );
});
