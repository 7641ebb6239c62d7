/** What a thing was before and after something, field by field. */
import { Code, Table, Text } from '@mantine/core';
import { useUiWords } from './ui-words.ts';

/** Every value within a thing, by the path to it. */
function flatten(value: unknown, path = ''): Map<string, string> {
  if (value === null || typeof value !== 'object') {
    return value === undefined
      ? new Map()
      : new Map([[path, typeof value === 'string' ? value : JSON.stringify(value)]]);
  }
  const fields = Object.entries(value);
  if (fields.length === 0) return new Map([[path, Array.isArray(value) ? '[]' : '{}']]);
  return new Map(
    fields.flatMap(([name, inner]) => [...flatten(inner, path === '' ? name : `${path}.${name}`)]),
  );
}

export function Diff({ before, after }: { before: unknown; after: unknown }) {
  const t = useUiWords();
  const was = flatten(before);
  const is = flatten(after);
  const paths = [...new Set([...was.keys(), ...is.keys()])];
  const changed = paths.filter((path) => was.get(path) !== is.get(path));
  const same = paths.length - changed.length;
  const both = before !== undefined && after !== undefined;
  return (
    <>
      <Table.ScrollContainer minWidth={both ? 520 : 320}>
        <Table fz="sm" layout="fixed">
          <Table.Thead>
            <Table.Tr>
              <Table.Th w="28%">
                <span aria-hidden />
              </Table.Th>
              {before !== undefined && <Table.Th>{t('removed')}</Table.Th>}
              {after !== undefined && <Table.Th>{t('added')}</Table.Th>}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {changed.map((path) => (
              <Table.Tr key={path}>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>{path}</Table.Td>
                {before !== undefined && (
                  <Table.Td>
                    <Value text={was.get(path)} kind="del" />
                  </Table.Td>
                )}
                {after !== undefined && (
                  <Table.Td>
                    <Value text={is.get(path)} kind="ins" />
                  </Table.Td>
                )}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {both && same > 0 && (
        <Text size="xs" c="dimmed">
          {t('unchanged_more', { count: same })}
        </Text>
      )}
    </>
  );
}

function Value({ text, kind }: { text: string | undefined; kind: 'ins' | 'del' }) {
  if (text === undefined) return '–';
  return (
    <Code
      component={kind}
      className={`diff-${kind}`}
      style={{ overflowWrap: 'anywhere', textDecoration: 'none' }}
    >
      {text}
    </Code>
  );
}
