/** A button that shows what the audit trail has about a thing. */
import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { History as HistoryIcon } from 'lucide-react';
import { lazy, Suspense } from 'react';
import { useMay } from './self.tsx';
import { useUiWords } from './ui-words.ts';

const HistoryDrawer = lazy(() => import('./history-drawer.tsx'));

export function HistoryButton({ subject }: { subject: string }) {
  const t = useUiWords();
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  if (!may('audit:read')) return null;
  return (
    <>
      <Button variant="default" leftSection={<HistoryIcon size={14} />} onClick={open}>
        {t('history')}
      </Button>
      {opened && (
        <Suspense>
          <HistoryDrawer subject={subject} onClose={close} />
        </Suspense>
      )}
    </>
  );
}
