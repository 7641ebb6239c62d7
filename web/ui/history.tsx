/** A button that shows what the audit trail has about a thing. */
import { ActionIcon, Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { History as HistoryIcon } from 'lucide-react';
import { lazy, Suspense } from 'react';
import { useMay } from './self.tsx';
import { useUiWords } from './ui-words.ts';

const HistoryDrawer = lazy(() => import('./history-drawer.tsx'));

/** @param props.named what it is about, where a row has no room for more than a picture */
export function HistoryButton({ subject, named }: { subject: string; named?: string }) {
  const t = useUiWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  if (!may('audit:read')) return null;
  return (
    <>
      {named === undefined ? (
        <Button variant="default" leftSection={<HistoryIcon size={14} />} onClick={open}>
          {t('history')}
        </Button>
      ) : (
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={`${t('history')}: ${named}`}
          data-row-history
          onClick={open}
        >
          <HistoryIcon size={16} />
        </ActionIcon>
      )}
      {opened && (
        <Suspense>
          <HistoryDrawer subject={subject} onClose={close} />
        </Suspense>
      )}
    </>
  );
}
