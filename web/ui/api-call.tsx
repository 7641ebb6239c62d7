/** A button that shows what a screen asks of the API as code. */
import { Button, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { CodeXml } from 'lucide-react';
import { lazy, Suspense } from 'react';
import type { Call } from './call.ts';
import { useUiWords } from './ui-words.ts';

const CallDrawer = lazy(() => import('./call-drawer.tsx'));

export function ApiCallButton({ calls }: { calls: readonly Call[] }) {
  const t = useUiWords();
  const [opened, { open, close }] = useDisclosure(false);
  return (
    <>
      <Tooltip label={t('api_call')}>
        <Button variant="default" leftSection={<CodeXml size={14} />} onClick={open} visibleFrom="sm">
          API
        </Button>
      </Tooltip>
      {opened && (
        <Suspense>
          <CallDrawer calls={calls} onClose={close} />
        </Suspense>
      )}
    </>
  );
}
