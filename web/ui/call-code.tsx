/** A call of the API as code that makes it. */
import { Button, Code, CopyButton, Group, Tabs } from '@mantine/core';
import { addressOf } from '../api/client.ts';
import type { Call } from './call.ts';
import { useUiWords } from './ui-words.ts';

export const addressOfCall = (call: Call) => `${location.origin}${addressOf(call)}`;

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

function curlOf(call: Call): string {
  const lines = [
    `curl -s -X ${call.method} ${quoted(addressOfCall(call))}`,
    `-H "Authorization: Bearer $API_KEY"`,
  ];
  if (call.idempotent === true) lines.push('-H "Idempotency-Key: $(uuidgen)"');
  if (call.body !== undefined) {
    lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(call.body, null, 2))}`);
  }
  return lines.join(' \\\n  ');
}

function typeScriptOf(call: Call): string {
  const headers = ['    authorization: `Bearer ${process.env.API_KEY}`,'];
  if (call.idempotent === true) headers.push("    'idempotency-key': crypto.randomUUID(),");
  if (call.body !== undefined) headers.push("    'content-type': 'application/json',");
  const body =
    call.body === undefined
      ? ''
      : `  body: JSON.stringify(${JSON.stringify(call.body, null, 2).replaceAll('\n', '\n  ')}),\n`;
  return `const answer = await fetch(${JSON.stringify(addressOfCall(call))}, {
  method: '${call.method}',
  headers: {
${headers.join('\n')}
  },
${body}});
if (!answer.ok) throw new Error((await answer.json()).detail);
${call.method === 'DELETE' ? '' : 'console.log(await answer.json());'}`.trimEnd();
}

/** JSON as Python writes it. */
function pythonLiteral(value: unknown): string {
  return JSON.stringify(value, null, 4).replaceAll(
    /(: |^\s*|\[)(true|false|null)(?=,?$)/gm,
    (_, before: string, word: string) =>
      `${before}${{ true: 'True', false: 'False', null: 'None' }[word] ?? word}`,
  );
}

function pythonOf(call: Call): string {
  const imports = ['import json', 'import os', 'import urllib.request'];
  const headers = [`        "Authorization": f"Bearer {os.environ['API_KEY']}",`];
  if (call.idempotent === true) {
    imports.push('import uuid');
    headers.push('        "Idempotency-Key": str(uuid.uuid4()),');
  }
  if (call.body !== undefined) headers.push('        "Content-Type": "application/json",');
  const body =
    call.body === undefined
      ? ''
      : `    data=json.dumps(${pythonLiteral(call.body).replaceAll('\n', '\n    ')}).encode(),\n`;
  return `${imports.join('\n')}

request = urllib.request.Request(
    ${JSON.stringify(addressOfCall(call))},
    method="${call.method}",
    headers={
${headers.join('\n')}
    },
${body})
with urllib.request.urlopen(request) as answer:
    print(${call.method === 'DELETE' ? 'answer.status' : 'json.load(answer)'})`;
}

export function CallCode({ call }: { call: Call }) {
  const t = useUiWords();
  const forms = { curl: curlOf(call), TypeScript: typeScriptOf(call), Python: pythonOf(call) };
  return (
    <Tabs defaultValue="curl">
      <Tabs.List>
        {Object.keys(forms).map((name) => (
          <Tabs.Tab key={name} value={name}>
            {name}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {Object.entries(forms).map(([name, code]) => (
        <Tabs.Panel key={name} value={name} pt="xs">
          <Code block tabIndex={0}>
            {code}
          </Code>
          <Group justify="flex-end" mt={4}>
            <CopyButton value={code}>
              {({ copied, copy }) => (
                <Button variant="subtle" onClick={copy}>
                  {copied ? t('copied') : t('copy')}
                </Button>
              )}
            </CopyButton>
          </Group>
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
