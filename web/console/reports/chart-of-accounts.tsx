import { Anchor, Button, Code, Group, Select, Stack, Text, TextInput, Title } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import type { RowOf } from '../../api/lists.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section } from '../../ui/facts.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useReportsWords } from './reports-words.ts';

type ChartCode = RowOf<'/api/v2/chart-of-accounts'>;

const path = '/api/v2/chart-of-accounts';
const types = ['asset', 'liability', 'equity', 'income', 'expense'] as const;
const INDENT_PX = 22;

export function Page() {
  const t = useReportsWords();
  return (
    <Stack gap="sm">
      <title>{`${t('chart')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('chart')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('chart_about')}
      </Text>
      <Permitted permission="chart_of_accounts:read">
        <Chart />
      </Permitted>
    </Stack>
  );
}

function Chart() {
  const t = useReportsWords();
  const may = useMay();
  const found = useQuery({ queryKey: ['chart-of-accounts'], queryFn: () => get(path) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const codes = found.data.data.toSorted((a, b) => (a.code < b.code ? -1 : 1));
  return (
    <Stack gap="sm">
      <Group gap={6} justify="flex-end">
        {may('chart_of_accounts:edit') && <AddCode codes={codes} />}
        <ApiCallButton calls={[{ method: 'GET', path }]} />
      </Group>
      {types.map((type) => {
        const roots = codes.filter((code) => code.type === type && code.parent_code === undefined);
        if (roots.length === 0) return null;
        return (
          <Section key={type} title={t(type)}>
            <Branches codes={roots} all={codes} depth={0} />
          </Section>
        );
      })}
    </Stack>
  );
}

/** Codes, each with those under it. */
function Branches({
  codes,
  all,
  depth,
}: {
  codes: readonly ChartCode[];
  all: readonly ChartCode[];
  depth: number;
}) {
  const t = useReportsWords();
  return (
    <ul style={{ listStyle: 'none', margin: 0, padding: 0, paddingInlineStart: depth === 0 ? 0 : INDENT_PX }}>
      {codes.map((code) => {
        const under = all.filter(({ parent_code }) => parent_code === code.code);
        return (
          <li key={code.code}>
            <Group gap="xs" py={3} wrap="nowrap">
              <Code>{code.code}</Code>
              <Anchor
                component={Link}
                to={`/accounts?chart_code=${encodeURIComponent(code.code)}`}
                size="sm"
                title={t('see_accounts', { code: code.code })}
              >
                {code.name}
              </Anchor>
            </Group>
            {under.length > 0 && <Branches codes={under} all={all} depth={depth + 1} />}
          </li>
        );
      })}
    </ul>
  );
}

function AddCode({ codes }: { codes: readonly ChartCode[] }) {
  const t = useReportsWords();
  const [opened, { open, close }] = useDisclosure(false);
  const [code, setCode] = useState('');
  const [name, setName] = useState('');
  const [type, setType] = useState<(typeof types)[number]>('liability');
  const [parent, setParent] = useState<string | null>(null);
  const body = {
    code: code.trim(),
    name: name.trim(),
    type,
    ...(parent === null ? {} : { parent_code: parent }),
  };
  return (
    <>
      <Button onClick={open}>{t('add_code')}</Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('add_code')}
        consequence={t('add_consequence')}
        verb={t('add_code')}
        isReady={body.code !== '' && body.name !== ''}
        run={(key) => act('post', path, { body, key })}
        call={{ method: 'POST', path, body, idempotent: true }}
      >
        <TextInput
          label={t('code')}
          required
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
        <TextInput
          label={t('name')}
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          label={t('type')}
          allowDeselect={false}
          data={types.map((value) => ({ value, label: t(value) }))}
          value={type}
          onChange={(chosen) => {
            setType(types.find((one) => one === chosen) ?? 'liability');
            setParent(null);
          }}
        />
        <Select
          label={t('parent')}
          clearable
          searchable
          data={codes
            .filter((one) => one.type === type)
            .map((one) => ({ value: one.code, label: `${one.code} ${one.name}` }))}
          value={parent}
          onChange={setParent}
        />
      </ActDialog>
    </>
  );
}
