/** Looking up what became of a request by its idempotency key; and what this tab asked lately. */
import { Anchor, Badge, Button, Group, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { recentlyAsked } from '../../api/recent.ts';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty } from '../../ui/states.tsx';
import { useLedgerWords } from './ledger-words.ts';

export function Page() {
  const t = useLedgerWords();
  return (
    <Stack gap="sm">
      <title>{`${t('attempts')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('attempts')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('attempts_about')}
      </Text>
      <Permitted permission="attempts:read">
        <Attempts />
      </Permitted>
    </Stack>
  );
}

function Attempts() {
  const t = useLedgerWords();
  const navigate = useNavigate();
  const [key, setKey] = useState('');
  const asked = recentlyAsked();
  return (
    <Stack gap="sm">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== '') void navigate(`/attempts/${encodeURIComponent(key.trim())}`);
        }}
      >
        <Group align="flex-end" gap="xs">
          <TextInput
            label={t('idempotency_key')}
            value={key}
            maxLength={255}
            onChange={(event) => setKey(event.currentTarget.value)}
            w={{ base: '100%', xs: 360 }}
          />
          <Button type="submit" disabled={key.trim() === ''}>
            {t('look_up')}
          </Button>
        </Group>
      </form>
      <Section title={t('asked_lately')}>
        {asked.length === 0 ? (
          <Empty>{t('asked_nothing')}</Empty>
        ) : (
          <Table.ScrollContainer minWidth={420}>
            <Table fz="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('request')}</Table.Th>
                  <Table.Th>{t('outcome')}</Table.Th>
                  <Table.Th>{t('asked_at')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {asked.map((one) => (
                  <Table.Tr key={one.key}>
                    <Table.Td>
                      <Anchor component={Link} to={`/attempts/${encodeURIComponent(one.key)}`} size="sm">
                        {one.what}
                      </Anchor>
                    </Table.Td>
                    <Table.Td>
                      <Badge size="sm" variant="light" color={colorOf(one.status)}>
                        {t(wordOf(one.status))}
                      </Badge>
                    </Table.Td>
                    <Table.Td>
                      <Moment at={one.at} />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Section>
    </Stack>
  );
}

function wordOf(status: number) {
  if (status === 202) return 'outcome_proposed';
  if (status >= 200 && status < 300) return 'outcome_done';
  return status === 0 || status >= 500 ? 'outcome_unknown' : 'outcome_refused';
}

function colorOf(status: number): string {
  return {
    outcome_proposed: 'orange',
    outcome_done: 'teal',
    outcome_unknown: 'gray',
    outcome_refused: 'red',
  }[wordOf(status)];
}
