/**
 * A list of the API as a table: filters, page and order stand in the address, so that a link or a reload shows the same.
 */
import {
  ActionIcon,
  Button,
  Group,
  Paper,
  Select,
  Stack,
  Text,
  TextInput,
  Title,
  Tooltip,
} from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { ChevronLeft, ChevronRight, ChevronsLeft, Download, ListFilter, RefreshCw } from 'lucide-react';
import { DataTable } from 'mantine-datatable';
import { type ReactNode, useEffect, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { type ListPath, listRows, type RowOf } from '../api/lists.ts';
import { ApiCallButton } from './api-call.tsx';
import { saveCsv } from './csv.ts';
import { Permitted } from './self.tsx';
import { Empty, Loading, Refused } from './states.tsx';
import { useUiWords } from './ui-words.ts';

export interface Column<Row> {
  /** Names the column in the address and in CSV. */
  name: string;
  title: string;
  /** What stands in CSV, and what is sorted by. */
  value: (row: Row) => string | number | null | undefined;
  /** What is seen; the value if absent. */
  show?: (row: Row) => ReactNode;
  align?: 'right';
  /** Left out where the window is narrow. */
  wide?: true;
  /** How the value is ordered: as numbers, decimal strings included, or as text. */
  order?: 'number';
}

interface Filter {
  /** Name of the parameter of the API. */
  name: string;
  label: string;
  /** What it can be; any text or day if absent. */
  choices?: readonly { value: string; label: string }[];
  /** A day is asked for as it is, or as the moment at which it begins or ends where the reader is. */
  kind?: 'text' | 'day' | 'day_begins' | 'day_ends';
  /** Looked for in the rows, where the API answers the whole list at once. */
  isHere?: true;
}

interface ListProps<Path extends ListPath> {
  path: Path;
  /** Ids in the path. */
  ids?: Readonly<Record<string, string>>;
  permission: string;
  columns: readonly Column<RowOf<Path>>[];
  filters?: readonly Filter[];
  /** Asked for beside what the filters say. */
  fixed?: Readonly<Record<string, string>>;
  /** Where a row leads. */
  to?: (row: RowOf<Path>) => string;
  keyOf: (row: RowOf<Path>) => string;
  /** What to say where there is nothing at all, and what to do about it. */
  empty?: string;
  actions?: ReactNode;
  /** How often it is asked for again, where it changes by itself. */
  refreshEveryMs?: number;
}

const LIMIT = '25';
const WIDE = '(min-width: 48em)';

export function ListPage<Path extends ListPath>({
  title,
  about,
  ...list
}: ListProps<Path> & { title: string; about?: string }) {
  return (
    <Stack gap="sm">
      <title>{`${title} · financialapi`}</title>
      <Title order={1} size="h3">
        {title}
      </Title>
      {about !== undefined && (
        <Text size="sm" c="dimmed" maw={720}>
          {about}
        </Text>
      )}
      <Permitted permission={list.permission}>
        <List {...list} />
      </Permitted>
    </Stack>
  );
}

export function List<Path extends ListPath>(props: ListProps<Path>) {
  const {
    path,
    ids = {},
    columns,
    filters = [],
    fixed = {},
    to,
    keyOf,
    empty,
    actions,
    refreshEveryMs,
  } = props;
  const t = useUiWords();
  const navigate = useNavigate();
  const [search, setSearch] = useSearchParams();
  const asked = Object.fromEntries(
    filters
      .filter(({ isHere }) => isHere !== true)
      .map((filter) => [filter.name, askedBy(filter, search.get(filter.name) ?? '')])
      .filter(([, value]) => value !== ''),
  );
  const cursor = search.get('cursor') ?? '';
  const query = { ...fixed, ...asked, limit: LIMIT, ...(cursor === '' ? {} : { cursor }) };
  const [areFiltersOpen, filterState] = useDisclosure(false);
  const isWide = useMediaQuery(WIDE, matchMedia(WIDE).matches);
  const page = useQuery({
    queryKey: ['list', path, ids, query],
    queryFn: () => listRows(path, query, ids),
    placeholderData: keepPreviousData,
    ...(refreshEveryMs === undefined ? {} : { refetchInterval: refreshEveryMs }),
  });

  /** Changes the address; the empty takes away. */
  const change = (changes: Record<string, string>, options?: { replace: boolean }) =>
    setSearch((before) => {
      const next = new URLSearchParams(before);
      for (const [name, value] of Object.entries(changes)) {
        if (value === '') next.delete(name);
        else next.set(name, value);
      }
      return next;
    }, options);

  const [sortName = '', direction = 'asc'] = (search.get('sort') ?? '').split(':');
  const lookedFor = filters
    .filter(({ isHere }) => isHere === true)
    .map(({ name }) => (search.get(name) ?? '').toLowerCase())
    .filter((text) => text !== '');
  const found = (page.data?.data ?? []).filter((row) =>
    lookedFor.every((text) =>
      columns.some(({ value }) =>
        String(value(row) ?? '')
          .toLowerCase()
          .includes(text),
      ),
    ),
  );
  const sorted = sortRows(found, columns, sortName, direction === 'desc');

  const exportShown = () =>
    saveCsv(
      path.split('/').findLast((part) => part !== '' && !part.startsWith('{')) ?? 'list',
      columns.map(({ title }) => title),
      sorted.map((row) => columns.map(({ value }) => value(row) ?? '')),
    );

  const filtersUsed = Object.keys(asked).length + lookedFor.length;
  const isFiltered = filtersUsed > 0;
  return (
    <Stack gap="xs" data-list={path} data-leads={to === undefined ? 'nowhere' : 'on'}>
      <Group gap="xs" align="flex-end" data-filters={filters.length}>
        {filters.length > 0 && (
          <Button
            hiddenFrom="sm"
            variant="default"
            leftSection={<ListFilter size={14} />}
            aria-expanded={areFiltersOpen}
            onClick={filterState.toggle}
          >
            {t('filter')}
            {isFiltered ? ` (${filtersUsed})` : ''}
          </Button>
        )}
        {(areFiltersOpen || isWide) &&
          filters.map((filter) => (
            <FilterField
              key={filter.name}
              filter={filter}
              value={search.get(filter.name) ?? ''}
              onChange={(value) => change({ [filter.name]: value, cursor: '' }, { replace: true })}
            />
          ))}
        {isFiltered && (
          <Button
            variant="subtle"
            onClick={() =>
              change({ ...Object.fromEntries(filters.map(({ name }) => [name, ''])), cursor: '' })
            }
          >
            {t('clear_filters')}
          </Button>
        )}
        <Group gap={6} ml="auto">
          {actions}
          <ApiCallButton calls={[{ method: 'GET', path, ids, query }]} />
          <Tooltip label={t('export_hint')}>
            <Button
              variant="default"
              leftSection={<Download size={14} />}
              onClick={() => void exportShown()}
              disabled={sorted.length === 0}
            >
              CSV
            </Button>
          </Tooltip>
          <Tooltip label={t('refresh')}>
            <ActionIcon
              variant="default"
              size={30}
              aria-label={t('refresh')}
              onClick={() => void page.refetch()}
              loading={page.isFetching}
            >
              <RefreshCw size={14} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      {page.isError ? (
        <Refused error={page.error} retry={() => void page.refetch()} />
      ) : page.data === undefined ? (
        <Loading />
      ) : sorted.length === 0 ? (
        <Paper withBorder>
          <Empty>{isFiltered ? t('nothing_found') : (empty ?? t('nothing'))}</Empty>
        </Paper>
      ) : (
        <DataTable<RowOf<Path>>
          withTableBorder
          highlightOnHover={to !== undefined}
          verticalSpacing={6}
          fz="sm"
          idAccessor={(row) => keyOf(row)}
          records={sorted}
          columns={columns.map((column) => ({
            accessor: column.name,
            title: column.title,
            // What can be done has no order.
            sortable: column.name !== 'acts',
            ...(column.align === undefined ? {} : { textAlign: column.align }),
            ...(column.wide === undefined ? {} : { visibleMediaQuery: WIDE }),
            render: (row: RowOf<Path>) => column.show?.(row) ?? column.value(row) ?? '–',
          }))}
          sortStatus={{ columnAccessor: sortName, direction: direction === 'desc' ? 'desc' : 'asc' }}
          onSortStatusChange={({ columnAccessor, direction }) =>
            change({ sort: `${String(columnAccessor)}:${direction}` }, { replace: true })
          }
          {...(to === undefined
            ? {}
            : {
                onRowClick: ({ record, event }: { record: RowOf<Path>; event: React.MouseEvent }) => {
                  // A link or a button in the row leads elsewhere, and selected text is read.
                  if (event.target instanceof Element && event.target.closest('a, button') !== null) return;
                  // A dialog that a button of the row opened is elsewhere on the screen, and of the row to React alone.
                  if (event.target instanceof Node && !event.currentTarget.contains(event.target)) return;
                  if (getSelection()?.isCollapsed === false) return;
                  void navigate(to(record));
                },
              })}
        />
      )}
      <Group gap="xs" justify="space-between">
        <Text size="xs" c="dimmed">
          {sortName === '' ? '' : t('sorted_page')}
        </Text>
        <Group gap="xs">
          {cursor !== '' && (
            <>
              <Button
                variant="default"
                leftSection={<ChevronsLeft size={14} />}
                onClick={() => change({ cursor: '' })}
              >
                {t('first')}
              </Button>
              <Button
                variant="default"
                leftSection={<ChevronLeft size={14} />}
                onClick={() => void navigate(-1)}
              >
                {t('previous')}
              </Button>
            </>
          )}
          {typeof page.data?.next_cursor === 'string' && (
            <Button
              variant="default"
              rightSection={<ChevronRight size={14} />}
              onClick={() => change({ cursor: page.data?.next_cursor ?? '' })}
            >
              {t('next')}
            </Button>
          )}
        </Group>
      </Group>
    </Stack>
  );
}

/** What the API is asked by what stands in the address. */
function askedBy({ kind }: Filter, value: string): string {
  const day = /^(\d{4})-(\d\d)-(\d\d)$/.exec(value);
  if (day === null || (kind !== 'day_begins' && kind !== 'day_ends')) return value;
  const [year = 0, month = 1, date = 1] = day.slice(1).map(Number);
  return new Date(year, month - 1, date + (kind === 'day_ends' ? 1 : 0)).toISOString();
}

function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  name: string,
  isDescending: boolean,
): Row[] {
  const column = columns.find((one) => one.name === name);
  if (column === undefined) return [...rows];
  const compare =
    column.order === 'number'
      ? (a: Row, b: Row) => Number(column.value(a) ?? 0) - Number(column.value(b) ?? 0)
      : (a: Row, b: Row) => String(column.value(a) ?? '').localeCompare(String(column.value(b) ?? ''));
  return rows.toSorted((a, b) => (isDescending ? compare(b, a) : compare(a, b)));
}

const TYPING_MS = 350;

function FilterField({
  filter,
  value,
  onChange,
}: {
  filter: Filter;
  value: string;
  onChange: (value: string) => void;
}) {
  const t = useUiWords();
  const isDay = filter.kind?.startsWith('day') === true;
  const [typed, setTyped] = useState(value);
  // The address changed by other means: back, or a link.
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = setTimeout(() => onChange(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, value, onChange]);
  if (filter.choices !== undefined) {
    return (
      <Select
        label={filter.label}
        placeholder={t('any')}
        clearable
        searchable={filter.choices.length > 8}
        data={[...filter.choices]}
        value={value === '' ? null : value}
        onChange={(chosen) => onChange(chosen ?? '')}
        w={170}
      />
    );
  }
  return (
    <TextInput
      label={filter.label}
      type={isDay ? 'date' : 'text'}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      w={isDay ? 150 : 200}
    />
  );
}
