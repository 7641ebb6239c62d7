/** Which keys do what. */
import { Kbd, Modal, Table } from '@mantine/core';
import { usePlace } from './place.ts';
import { useShellWords } from './shell-words.ts';

export default function Shortcuts({ onClose }: { onClose: () => void }) {
  const t = useShellWords();
  const { menu } = usePlace();
  const pages = menu.flatMap((group) => group.pages);
  return (
    <Modal opened onClose={onClose} title={t('shortcuts')}>
      <Table>
        <Table.Tbody>
          <Table.Tr>
            <Table.Td>
              <Kbd>Ctrl</Kbd> <Kbd>K</Kbd> / <Kbd>/</Kbd>
            </Table.Td>
            <Table.Td>{t('shortcut_search')}</Table.Td>
          </Table.Tr>
          {pages.map(({ key, word }) =>
            key === undefined ? null : (
              <Table.Tr key={key}>
                <Table.Td>
                  <Kbd>g</Kbd> <Kbd>{key}</Kbd>
                </Table.Td>
                <Table.Td>{t(word)}</Table.Td>
              </Table.Tr>
            ),
          )}
          <Table.Tr>
            <Table.Td>
              <Kbd>?</Kbd>
            </Table.Td>
            <Table.Td>{t('shortcut_help')}</Table.Td>
          </Table.Tr>
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
