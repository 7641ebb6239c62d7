/** Whether, from what share of a limit on, and how one is told that it is nearly used up. */
import { Button, Checkbox, Group, SegmentedControl, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Bell } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { type BodyOf, get } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Section } from '../../ui/facts.tsx';
import { useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLanguage } from '../../ui/words.ts';
import { useHeadroomWords } from './headroom-words.ts';

const PATH = '/api/v2/limits/notices';
type Notices = BodyOf<typeof PATH>;
const shares = [80, 100, null] as const;
const channels = ['email', 'in_app'] as const;

export function LimitNotices() {
  const t = useHeadroomWords();
  const may = useMay();
  const [isOpen, dialog] = useDisclosure(false);
  const notices = useQuery({ queryKey: ['limit-notices'], queryFn: () => get(PATH) });
  return (
    <Section
      title={t('notices')}
      aside={
        notices.data !== undefined &&
        may('limit_notices:choose') && (
          <Button variant="default" leftSection={<Bell size={14} />} onClick={dialog.open}>
            {t('choose')}
          </Button>
        )
      }
    >
      {notices.isError ? (
        <Refused error={notices.error} retry={() => void notices.refetch()} />
      ) : notices.data === undefined ? (
        <Loading />
      ) : (
        <Text size="sm" data-notices={notices.data.from_percent ?? 'none'}>
          {t(`from_${notices.data.from_percent ?? 'none'}`)}
          {notices.data.from_percent !== null &&
            ` ${t('told_by', { channels: notices.data.channels.map((one) => t(one)).join(', ') })}`}
        </Text>
      )}
      {isOpen && notices.data !== undefined && <NoticesDialog chosen={notices.data} onClose={dialog.close} />}
    </Section>
  );
}

function NoticesDialog({ chosen, onClose }: { chosen: Notices; onClose: () => void }) {
  const t = useHeadroomWords();
  const language = useLanguage();
  const [from_percent, setFrom] = useState(chosen.from_percent);
  const [told, setTold] = useState<Notices['channels']>(chosen.channels);
  const body = { from_percent, channels: told, language };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('notices')}
      verb={t('save')}
      consequence={t('notices_about')}
      isReady={told.length > 0}
      run={() => act('put', PATH, { body })}
      call={{ method: 'PUT', path: PATH, body }}
    >
      <Stack gap={4}>
        <Text size="sm">{t('when')}</Text>
        <SegmentedControl
          aria-label={t('when')}
          orientation="vertical"
          data={shares.map((share) => ({ value: String(share), label: t(`from_${share ?? 'none'}`) }))}
          value={String(from_percent)}
          onChange={(value) => setFrom(shares.find((share) => String(share) === value) ?? null)}
        />
      </Stack>
      <Checkbox.Group
        label={t('how')}
        value={told}
        onChange={(values) => setTold(channels.filter((one) => values.includes(one)))}
      >
        <Group mt={4}>
          {channels.map((one) => (
            <Checkbox key={one} value={one} label={t(one)} disabled={from_percent === null} />
          ))}
        </Group>
      </Checkbox.Group>
    </ActDialog>
  );
}
