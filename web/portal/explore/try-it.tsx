/** Sends an operation to the sandbox of whoever looks, and shows what came of it. */
import {
  Alert,
  Anchor,
  Autocomplete,
  Badge,
  Button,
  Checkbox,
  Code,
  Group,
  JsonInput,
  PasswordInput,
  SegmentedControl,
  Stack,
  Table,
  Text,
  TextInput,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Play } from 'lucide-react';
import { type FormEvent, useEffect, useState } from 'react';
import { Link, useLocation } from 'react-router';
import { addressOf } from '../../api/client.ts';
import type { Call } from '../../ui/call.ts';
import { CallCode } from '../../ui/call-code.tsx';
import { Section } from '../../ui/facts.tsx';
import { useFoundSelf } from '../../ui/self.tsx';
import { Refused } from '../../ui/states.tsx';
import { useExploreWords } from './explore-words.ts';
import { bodyOf, isIdempotent, type Operation, type Parameter, type Schema, useApi } from './openapi.ts';
import { needsAccounts, useAccountPair, withAccounts } from './sandbox-accounts.ts';
import { Field, hasForm, isRecord, parseJson, SchemaForm, textOf } from './schema-form.tsx';

/** What a stream says is listened to for so long. */
const LISTEN_MS = 4_000;
/** More than this nobody reads on a page. */
const SHOWN_CHARACTERS = 60_000;

interface Answer {
  status: number;
  reason: string;
  headers: [string, string][];
  text: string;
  took_ms: number;
}

export function TryIt({ operation, resolve }: { operation: Operation; resolve: (schema: Schema) => Schema }) {
  const t = useExploreWords();
  const self = useFoundSelf();
  const [credential, setCredential] = useState<'me' | 'key'>('me');
  const [key, setKey] = useState('');
  const [values, setValues] = useState<Record<string, unknown>>({});
  const media = bodyOf(operation);
  const [body, setBody] = useState<unknown>(media?.example);
  const [isWrong, setIsWrong] = useState(false);
  const [repeats, setRepeats] = useState(false);
  const [intention, setIntention] = useState(() => crypto.randomUUID());
  const parameters = (operation.parameters ?? []).filter(
    ({ name }) => name.toLowerCase() !== 'idempotency-key',
  );
  const mayFill = self !== undefined && self.environment === 'sandbox';
  const pair = useAccountPair(mayFill && needsAccounts(media?.example));
  useEffect(() => {
    // What somebody has changed stays as it is.
    if (pair.data !== undefined) {
      setBody((before: unknown) => (before === media?.example ? withAccounts(before, pair.data) : before));
    }
  }, [pair.data, media?.example]);

  const within = (where: Parameter['in']) =>
    Object.fromEntries(
      parameters.flatMap(({ name, in: at }) => {
        const value = values[name];
        return at === where && value !== undefined && value !== '' ? [[name, textOf(value)] as const] : [];
      }),
    );
  const call: Call = {
    method: operation.method,
    path: operation.path,
    ids: {
      ...Object.fromEntries(
        parameters.filter(({ in: at }) => at === 'path').map(({ name }) => [name, `{${name}}`]),
      ),
      ...within('path'),
    },
    query: within('query'),
    ...(media === undefined ? {} : { body }),
    idempotent: isIdempotent(operation),
  };
  const sending = useMutation({
    mutationFn: async (): Promise<Answer> => {
      const used = repeats ? intention : crypto.randomUUID();
      setIntention(used);
      const abort = new AbortController();
      const began = performance.now();
      const response = await fetch(addressOf(call), {
        method: operation.method,
        headers: {
          accept: 'application/json',
          ...within('header'),
          ...(media === undefined ? {} : { 'content-type': 'application/json' }),
          ...(isIdempotent(operation) ? { 'idempotency-key': used } : {}),
          ...(credential === 'key' ? { authorization: `Bearer ${key.trim()}` } : {}),
        },
        credentials: credential === 'key' ? 'omit' : 'same-origin',
        signal: abort.signal,
        ...(media === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
      const text = isStream ? await listen(response, abort) : await response.text();
      return {
        status: response.status,
        reason: response.statusText,
        headers: [...response.headers],
        text,
        took_ms: Math.round(performance.now() - began),
      };
    },
  });
  const isMissing = parameters.some(
    ({ name, required }) => required === true && (values[name] === undefined || values[name] === ''),
  );
  const isLiveKey = key.trim() !== '' && !key.trim().startsWith('fa_test_');
  const isMe = credential === 'me';
  const isReady = !isMissing && !isWrong && (isMe ? mayFill : key.trim() !== '' && !isLiveKey);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) sending.mutate();
  };
  return (
    <>
      <Section title={t('try_it')}>
        <form id="try" onSubmit={submit} autoComplete="off">
          <Stack gap="sm">
            <Text size="sm" c="dimmed">
              {t(self === undefined ? 'try_guest' : 'try_about')}
            </Text>
            <Group gap="xs" align="flex-end">
              <SegmentedControl
                aria-label={t('try_it')}
                data={[
                  { value: 'me', label: t('as_me') },
                  { value: 'key', label: t('by_key') },
                ]}
                value={credential}
                onChange={(chosen) => setCredential(chosen === 'key' ? 'key' : 'me')}
              />
              {isMe && self === undefined && <SignInButton />}
            </Group>
            {isMe && self?.environment === 'live' && (
              <Alert color="red" variant="light">
                {t('try_live')}
              </Alert>
            )}
            {!isMe && (
              <PasswordInput
                size="xs"
                label={t('key')}
                description={t('key_about')}
                placeholder="fa_test_…"
                autoComplete="off"
                value={key}
                onChange={(event) => setKey(event.currentTarget.value)}
                error={isLiveKey ? t('key_live') : undefined}
              />
            )}
            {parameters.map((parameter) => (
              <ParameterField
                key={`${parameter.in} ${parameter.name}`}
                parameter={parameter}
                operation={operation}
                mayAsk={mayFill}
                value={values[parameter.name]}
                onChange={(value) => setValues((before) => ({ ...before, [parameter.name]: value }))}
                resolve={resolve}
              />
            ))}
            {media !== undefined && (
              <BodyField
                schema={media.schema}
                value={body}
                onChange={setBody}
                onWrong={setIsWrong}
                resolve={resolve}
              />
            )}
            {pair.data === null && (
              <Text size="xs">
                {t('no_accounts')}{' '}
                <Anchor component={Link} to="/sandbox" size="xs" underline="always">
                  {t('sandbox_tools')}
                </Anchor>
              </Text>
            )}
            {pair.data !== undefined && pair.data !== null && (
              <Text size="xs" c="dimmed">
                {t('filled')}
              </Text>
            )}
            <Group justify="space-between">
              {isIdempotent(operation) ? (
                <Checkbox
                  size="xs"
                  label={t(sending.data === undefined ? 'new_intention' : 'send_again')}
                  checked={sending.data === undefined ? true : repeats}
                  disabled={sending.data === undefined}
                  onChange={(event) => setRepeats(event.currentTarget.checked)}
                />
              ) : (
                <span />
              )}
              <Button
                type="submit"
                leftSection={<Play size={14} />}
                loading={sending.isPending}
                disabled={!isReady}
              >
                {t('send')}
              </Button>
            </Group>
          </Stack>
        </form>
      </Section>
      {sending.isError && <Refused error={sending.error} />}
      {sending.data !== undefined && <AnswerSection answer={sending.data} />}
      <Section title={t('same_call')}>
        <CallCode call={call} />
      </Section>
    </>
  );
}

function SignInButton() {
  const t = useExploreWords();
  const { pathname } = useLocation();
  return (
    <Button component="a" href={`/identity/sign-in?next=${encodeURIComponent(`/portal${pathname}`)}`}>
      {t('sign_in')}
    </Button>
  );
}

/** What a stream says in a little while. */
async function listen(response: Response, abort: AbortController): Promise<string> {
  const timer = setTimeout(() => abort.abort(), LISTEN_MS);
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const part of response.body ?? []) text += decoder.decode(part, { stream: true });
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return text;
}

function ParameterField({
  parameter,
  operation,
  mayAsk,
  value,
  onChange,
  resolve,
}: {
  parameter: Parameter;
  operation: Operation;
  /** Whether things of one's own can be looked up. */
  mayAsk: boolean;
  value: unknown;
  onChange: (value: unknown) => void;
  resolve: (schema: Schema) => Schema;
}) {
  const { name, required, schema, description } = parameter;
  if (parameter.in === 'path') {
    return (
      <IdField
        name={name}
        list={operation.path.slice(0, operation.path.indexOf(`/{${name}}`))}
        mayAsk={mayAsk}
        value={typeof value === 'string' ? value : ''}
        onChange={onChange}
      />
    );
  }
  if (parameter.in === 'header') {
    return (
      <TextInput
        label={name}
        required={required === true}
        {...(description === undefined ? {} : { description })}
        value={typeof value === 'string' ? value : ''}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
    );
  }
  return (
    <Field
      name={name}
      schema={{ ...schema, ...(description === undefined ? {} : { description }) }}
      isRequired={required === true}
      value={value}
      onChange={onChange}
      resolve={resolve}
    />
  );
}

/** An id in the path, with those that there are, where the API lists them. */
function IdField({
  name,
  list,
  mayAsk,
  value,
  onChange,
}: {
  name: string;
  list: string;
  mayAsk: boolean;
  value: string;
  onChange: (value: string) => void;
}) {
  const api = useApi();
  const isListed =
    api.data?.products.some(({ operations }) =>
      operations.some(({ method, path }) => method === 'GET' && path === list),
    ) === true;
  const found = useQuery({
    queryKey: ['ids', list],
    enabled: mayAsk && isListed,
    queryFn: () => idsOf(list),
  });
  return (
    <Autocomplete
      size="xs"
      label={name}
      required
      data={found.data ?? []}
      value={value}
      onChange={onChange}
      maxDropdownHeight={240}
    />
  );
}

/** Ids of the things of a list; none where it may not be read. */
async function idsOf(list: string): Promise<string[]> {
  const response = await fetch(list, { headers: { accept: 'application/json' } });
  if (!response.ok) return [];
  const answer: unknown = await response.json();
  const rows = isRecord(answer) && Array.isArray(answer['data']) ? answer['data'] : [];
  return rows.flatMap((row: unknown) => (isRecord(row) && typeof row['id'] === 'string' ? [row['id']] : []));
}

/** The body as a form, where there can be one, or as JSON: both show the same. */
function BodyField({
  schema,
  value,
  onChange,
  onWrong,
  resolve,
}: {
  schema: Schema | undefined;
  value: unknown;
  onChange: (value: unknown) => void;
  onWrong: (isWrong: boolean) => void;
  resolve: (schema: Schema) => Schema;
}) {
  const t = useExploreWords();
  const canBeForm = hasForm(schema, resolve);
  const [shown, setShown] = useState<'form' | 'json'>('json');
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Text size="sm" fw={600}>
          {t('body')}
        </Text>
        {canBeForm && (
          <SegmentedControl
            aria-label={t('body')}
            data={[
              { value: 'json', label: t('json') },
              { value: 'form', label: t('form') },
            ]}
            value={shown}
            onChange={(chosen) => {
              onWrong(false);
              setShown(chosen === 'form' ? 'form' : 'json');
            }}
          />
        )}
      </Group>
      {shown === 'form' && schema !== undefined ? (
        <SchemaForm schema={schema} value={value} onChange={onChange} resolve={resolve} />
      ) : (
        <JsonBody value={value} onChange={onChange} onWrong={onWrong} />
      )}
    </Stack>
  );
}

function JsonBody({
  value,
  onChange,
  onWrong,
}: {
  value: unknown;
  onChange: (value: unknown) => void;
  onWrong: (isWrong: boolean) => void;
}) {
  const t = useExploreWords();
  const [text, setText] = useState(() => JSON.stringify(value, null, 2) ?? '');
  const said = parseJson(text);
  // Filled in by other means: what is typed is left alone as long as it says the same.
  const isOther = said !== undefined && JSON.stringify(said.value) !== JSON.stringify(value);
  useEffect(() => {
    if (isOther) setText(JSON.stringify(value, null, 2));
  }, [isOther, value]);
  return (
    <JsonInput
      size="xs"
      aria-label={t('body')}
      autosize
      minRows={4}
      maxRows={24}
      spellCheck={false}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      validationError={t('not_json')}
      value={text}
      onChange={(typed) => {
        setText(typed);
        const parsed = parseJson(typed);
        onWrong(parsed === undefined);
        if (parsed !== undefined) onChange(parsed.value);
      }}
    />
  );
}

function AnswerSection({ answer }: { answer: Answer }) {
  const t = useExploreWords();
  const parsed = parseJson(answer.text);
  const shown = (parsed === undefined ? answer.text : JSON.stringify(parsed.value, null, 2)).slice(
    0,
    SHOWN_CHARACTERS,
  );
  const isGood = answer.status < 400;
  const code =
    isRecord(parsed?.value) && typeof parsed.value['code'] === 'string' ? parsed.value['code'] : undefined;
  const isReplayed = answer.headers.some(([name]) => name === 'idempotent-replayed');
  return (
    <Section
      title={t('answer')}
      aside={
        <Group gap="xs" role="status">
          {isReplayed && (
            <Badge size="sm" variant="light" color="blue">
              {t('replayed')}
            </Badge>
          )}
          <Badge size="sm" variant="light" color={isGood ? 'teal' : 'red'} data-answer={answer.status}>
            {answer.status} {answer.reason}
          </Badge>
          <Text size="xs" c="dimmed">
            {t('took', { ms: answer.took_ms })}
          </Text>
        </Group>
      }
    >
      {!isGood && code !== undefined && (
        <Anchor component={Link} to={`/errors/${code}`} size="sm">
          {t('why_refused', { code })}
        </Anchor>
      )}
      {shown === '' ? (
        <Text size="sm" c="dimmed">
          {t('no_body')}
        </Text>
      ) : (
        <Code block tabIndex={0} mah={420} style={{ overflow: 'auto' }}>
          {shown}
        </Code>
      )}
      <details>
        <summary>
          <Text span size="sm">
            {t('headers')}
          </Text>
        </summary>
        <Table fz="xs" verticalSpacing={2} layout="fixed">
          <Table.Tbody>
            {answer.headers.map(([name, value]) => (
              <Table.Tr key={name}>
                <Table.Th fw={400} c="dimmed" w="40%" style={{ overflowWrap: 'anywhere' }}>
                  {name}
                </Table.Th>
                <Table.Td ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                  {value}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </details>
    </Section>
  );
}
