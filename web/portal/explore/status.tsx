/** How the installation sees itself: whether it takes requests, and how soon it answers. */
import { Alert, Badge, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { CircleAlert, CircleCheck } from 'lucide-react';
import { Facts, Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Loading } from '../../ui/states.tsx';
import { useExploreWords } from './explore-words.ts';
import { isRecord, parseJson } from './schema-form.tsx';

const EVERY_MS = 30_000;

interface State {
  is_ready: boolean;
  answered: boolean;
  took_ms: number;
  at: string;
  /** What it says beside that, by name. */
  parts: [string, string][];
}

async function look(): Promise<State> {
  const at = new Date().toISOString();
  const began = performance.now();
  try {
    const response = await fetch('/readyz', { headers: { accept: 'application/json' } });
    const said = parseJson(await response.text())?.value;
    const parts = (isRecord(said) ? Object.entries(said) : []).flatMap(([name, value]): [string, string][] =>
      typeof value === 'string' || typeof value === 'boolean' ? [[name, String(value)]] : [],
    );
    const took_ms = Math.round(performance.now() - began);
    return { is_ready: response.ok, answered: true, took_ms, at, parts };
  } catch {
    return { is_ready: false, answered: false, took_ms: 0, at, parts: [] };
  }
}

export function Page() {
  const t = useExploreWords();
  const state = useQuery({ queryKey: ['readyz'], refetchInterval: EVERY_MS, queryFn: look });
  return (
    <Stack gap="sm">
      <title>{`${t('service_status')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('service_status')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('status_about')} {t('tell_about')}
      </Text>
      {state.data === undefined ? (
        <Loading />
      ) : (
        <>
          <Alert
            role="status"
            variant="light"
            color={state.data.is_ready ? 'teal' : 'red'}
            icon={state.data.is_ready ? <CircleCheck size={18} /> : <CircleAlert size={18} />}
            title={t(state.data.is_ready ? 'ready' : state.data.answered ? 'not_ready' : 'unreachable')}
          />
          <Section>
            <Facts
              facts={[
                [t('checked', { at: '' }).trim(), <Moment key="c" at={state.data.at} />],
                [t('answered_in'), t('took', { ms: state.data.took_ms })],
                ...state.data.parts.map(
                  ([name, value]) =>
                    [
                      name,
                      <Badge key={name} size="sm" variant="default" tt="none">
                        {value}
                      </Badge>,
                    ] as const,
                ),
              ]}
            />
          </Section>
        </>
      )}
    </Stack>
  );
}
