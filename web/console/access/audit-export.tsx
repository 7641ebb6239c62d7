/** Downloads the audit trail of a period as the server writes it. */
import { Button, Group, Modal, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { addressOf } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { useUiWords } from '../../ui/ui-words.ts';

export function ExportDialog({ onClose }: { onClose: () => void }) {
  const t = useAccessWords();
  const ui = useUiWords();
  const [from, setFrom] = useState('');
  const [until, setUntil] = useState('');
  const [format, setFormat] = useState('csv');
  const query = {
    format,
    ...(from === '' ? {} : { from: new Date(`${from}T00:00:00`).toISOString() }),
    ...(until === '' ? {} : { until: new Date(`${until}T23:59:59.999`).toISOString() }),
  };
  const path = '/api/v2/audit/export';
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('export_period')}
      closeButtonProps={{ 'aria-label': ui('close') }}
    >
      <Stack gap="sm">
        <Text size="sm">{t('export_about')}</Text>
        <Group grow>
          <TextInput
            label={t('from_day')}
            type="date"
            required
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
          />
          <TextInput
            label={t('until_day')}
            type="date"
            value={until}
            onChange={(event) => setUntil(event.currentTarget.value)}
          />
        </Group>
        <SegmentedControl
          aria-label={t('format')}
          data={[
            { value: 'csv', label: 'CSV' },
            { value: 'jsonl', label: 'JSON Lines' },
          ]}
          value={format}
          onChange={setFormat}
        />
        <Group justify="flex-end" gap="xs">
          <ApiCallButton calls={[{ method: 'GET', path, query }]} />
          <Button
            component="a"
            {...(from === '' ? { 'data-disabled': true } : { href: addressOf({ path, query }) })}
            download={`audit.${format}`}
            onClick={(event) => (from === '' ? event.preventDefault() : onClose())}
          >
            {t('download')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
