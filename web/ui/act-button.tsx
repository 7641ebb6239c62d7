/** Buttons that open what changes something; who may not do it does not see them. */
import { Button, Menu } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { ChevronDown } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { ActDialog, type ActDialogProps } from './act-dialog.tsx';
import { useMay } from './self.tsx';
import { useUiWords } from './ui-words.ts';

interface Act extends Omit<ActDialogProps<unknown>, 'opened' | 'onClose'> {
  permission: string;
  icon?: ReactNode;
}

/** Does what needs no more than a yes. */
export function ActButton({ permission, icon, ...dialog }: Act) {
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  if (!may(permission)) return null;
  return (
    <>
      <Button variant="default" leftSection={icon} onClick={open}>
        {dialog.verb}
      </Button>
      <ActDialog {...dialog} opened={opened} onClose={close} />
    </>
  );
}

/** Opens a dialog of its own, which begins anew each time. */
export function FormButton({
  permission,
  label,
  icon,
  isPrimary = false,
  children,
}: {
  permission: string;
  label: string;
  icon?: ReactNode;
  isPrimary?: boolean;
  children: (close: () => void) => ReactNode;
}) {
  const may = useMay();
  const [opened, { open, close }] = useDisclosure(false);
  if (!may(permission)) return null;
  return (
    <>
      <Button leftSection={icon} onClick={open} {...(isPrimary ? {} : { variant: 'default' })}>
        {label}
      </Button>
      {opened && children(close)}
    </>
  );
}

/** What is done to a thing now and then. */
export function ActMenu({ acts }: { acts: readonly Act[] }) {
  const t = useUiWords();
  const may = useMay();
  const [opened, setOpened] = useState('');
  const permitted = acts.filter(({ permission }) => may(permission));
  if (permitted.length === 0) return null;
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" rightSection={<ChevronDown size={14} />}>
            {t('more')}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {permitted.map(({ verb, icon, danger }) => (
            <Menu.Item
              key={verb}
              leftSection={icon}
              onClick={() => setOpened(verb)}
              {...(danger === undefined ? {} : { c: 'var(--mantine-color-error)' })}
            >
              {verb}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {permitted.map((one) => (
        <ActDialog key={one.verb} {...one} opened={opened === one.verb} onClose={() => setOpened('')} />
      ))}
    </>
  );
}
