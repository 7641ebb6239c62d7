/** Who did what: the audit trail, searched, exported, and proven to be whole. */
import { Alert, Badge, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation } from '@tanstack/react-query';
import { FileDown, ShieldCheck } from 'lucide-react';
import { get } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { ExportDialog } from './audit-export.tsx';
import { AuditOutcome } from './audit-outcome.tsx';

const outcomes = ['done', 'refused', 'failed', 'unknown'] as const;

export function Page() {
  const t = useAccessWords();
  return (
    <ListPage
      title={t('audit')}
      about={t('audit_about')}
      path="/api/v2/audit"
      permission="audit:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/audit/${id}`}
      actions={
        <>
          <Verify />
          <FormButton permission="audit:export" label={t('export_period')} icon={<FileDown size={14} />}>
            {(close) => <ExportDialog onClose={close} />}
          </FormButton>
        </>
      }
      filters={[
        { name: 'q', label: t('text') },
        { name: 'principal', label: t('principal_id') },
        { name: 'permission', label: t('permission') },
        { name: 'subject', label: t('subject') },
        {
          name: 'outcome',
          label: t('outcome'),
          choices: outcomes.map((value) => ({ value, label: t(`was_${value}`) })),
        },
        { name: 'code', label: t('refusal_code') },
        { name: 'request_id', label: t('request_id') },
        { name: 'from', label: t('from_day'), kind: 'day_begins' },
        { name: 'until', label: t('until_day'), kind: 'day_ends' },
      ]}
      columns={[
        {
          name: 'occurred_at',
          title: t('when'),
          value: ({ occurred_at }) => occurred_at,
          show: ({ occurred_at }) => <Moment at={occurred_at} />,
        },
        { name: 'principal', title: t('who'), value: ({ principal }) => principal.name },
        {
          name: 'what',
          title: t('what'),
          value: ({ method, route, path }) => `${method} ${route ?? path}`,
          show: ({ method, route, path }) => (
            <Text size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
              {method} {route ?? path}
            </Text>
          ),
          wide: true,
        },
        {
          name: 'permission',
          title: t('permission'),
          value: ({ permission, path }) => permission ?? path,
        },
        {
          name: 'subject',
          title: t('subject'),
          value: ({ subject }) => subject,
          show: ({ subject }) => <IdLink id={subject} short />,
          wide: true,
        },
        {
          name: 'outcome',
          title: t('outcome'),
          value: ({ outcome }) => outcome,
          show: ({ outcome, status, code, dry_run }) => (
            <Group gap={4}>
              <AuditOutcome outcome={outcome} />
              <Text size="xs" c="dimmed">
                {code ?? status}
              </Text>
              {dry_run && (
                <Badge size="xs" variant="default">
                  {t('dry_run')}
                </Badge>
              )}
            </Group>
          ),
          wide: true,
        },
      ]}
    />
  );
}

/** Lets the server recompute every seal, which takes as long as the trail is. */
function Verify() {
  const t = useAccessWords();
  const locale = useLocale();
  const proof = useMutation({ mutationFn: () => get('/api/v2/audit/verify') });
  const [opened, { open, close }] = useDisclosure(false);
  const number = (count: number) => count.toLocaleString(locale);
  return (
    <>
      <Button
        variant="default"
        leftSection={<ShieldCheck size={14} />}
        onClick={() => {
          open();
          proof.mutate();
        }}
      >
        {t('verify')}
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title={t('verify')}
        size="lg"
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        {proof.isError ? (
          <Refused error={proof.error} retry={() => proof.mutate()} />
        ) : proof.data === undefined ? (
          <Loading />
        ) : (
          <Alert
            color={proof.data.ok ? 'teal' : 'red'}
            variant="light"
            role="status"
            title={t(proof.data.ok ? 'trail_whole' : 'trail_broken')}
          >
            <Stack gap={4}>
              <Text size="sm">
                {t('trail_counts', {
                  records: number(proof.data.records),
                  sealed: number(proof.data.sealed_records),
                  seals: number(proof.data.seals),
                  unsealed: number(proof.data.unsealed_records),
                })}
              </Text>
              {proof.data.sealed_hash !== null && (
                <Text size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                  {proof.data.sealed_hash}
                </Text>
              )}
              {proof.data.findings.map(({ subject, detail }) => (
                <Text size="sm" key={`${subject} ${detail}`}>
                  <b>{subject}</b> {detail}
                </Text>
              ))}
            </Stack>
          </Alert>
        )}
      </Modal>
    </>
  );
}
