/** A schema as people read it: what there is, of which kind, and what may stand there. */
import { Badge, Code, Group, Stack, Text } from '@mantine/core';
import { useExploreWords } from './explore-words.ts';
import type { Schema } from './openapi.ts';
import { Inline } from './prose.tsx';
import { textOf } from './schema-form.tsx';

type Resolve = (schema: Schema) => Schema;

/** What is nested deeper than this is left to the document. */
const DEEPEST = 6;

/** In a word or two, of which kind something is. */
function useKind(): (schema: Schema, resolve: Resolve) => string {
  const t = useExploreWords();
  const kindOf = (given: Schema, resolve: Resolve): string => {
    const schema = resolve(given);
    const name = given.$ref?.split('/').at(-1);
    if (name !== undefined) return name;
    if (schema.enum !== undefined) return `${t('one_of')} ${schema.enum.map(textOf).join(', ')}`;
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    if (schema.anyOf !== undefined) {
      return [...new Set(schema.anyOf.map((one) => kindOf(one, resolve)))].join(' | ');
    }
    if (schema.type === 'array' && schema.items !== undefined) {
      return `${t('list_of')} ${kindOf(schema.items, resolve)}`;
    }
    if (
      schema.type === 'object' &&
      schema.properties === undefined &&
      typeof schema.additionalProperties === 'object'
    ) {
      return `${t('map_of')} ${kindOf(schema.additionalProperties, resolve)}`;
    }
    return schema.format ?? schema.type ?? 'any';
  };
  return kindOf;
}

/** The properties within: of an object, of what a list has, of what it may be. */
function innerOf(given: Schema, resolve: Resolve): [string, Schema, boolean][] {
  const schema = resolve(given);
  if (schema.properties !== undefined) {
    return Object.entries(schema.properties).map(([name, property]) => [
      name,
      property,
      schema.required?.includes(name) === true,
    ]);
  }
  if (schema.items !== undefined) return innerOf(schema.items, resolve);
  if (typeof schema.additionalProperties === 'object') return innerOf(schema.additionalProperties, resolve);
  const seen = new Map<string, [string, Schema, boolean]>();
  for (const one of schema.anyOf ?? []) {
    for (const inner of innerOf(one, resolve)) {
      if (!seen.has(inner[0])) seen.set(inner[0], [inner[0], inner[1], false]);
    }
  }
  return [...seen.values()];
}

export function SchemaView({
  schema,
  resolve,
  depth = 0,
}: {
  schema: Schema;
  resolve: Resolve;
  depth?: number;
}) {
  const kindOf = useKind();
  const inner = innerOf(schema, resolve);
  if (inner.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {kindOf(schema, resolve)}
      </Text>
    );
  }
  return (
    <Stack gap={8}>
      {inner.map(([name, property, isRequired]) => (
        <PropertyView
          key={name}
          name={name}
          schema={property}
          isRequired={isRequired}
          resolve={resolve}
          depth={depth}
        />
      ))}
    </Stack>
  );
}

export function PropertyView({
  name,
  schema: given,
  isRequired,
  resolve,
  where,
  depth = 0,
}: {
  name: string;
  schema: Schema;
  isRequired: boolean;
  resolve: Resolve;
  /** Where it is sent, if it is no part of a body. */
  where?: string;
  depth?: number;
}) {
  const t = useExploreWords();
  const kindOf = useKind();
  const schema = resolve(given);
  const notes = [
    ...(where === undefined ? [] : [where]),
    ...(schema.default === undefined ? [] : [t('default_is', { value: JSON.stringify(schema.default) })]),
    ...(schema.minimum === undefined ? [] : [t('at_least', { value: schema.minimum })]),
    // The largest number that JSON carries is no rule of the field.
    ...(schema.maximum === undefined || schema.maximum === Number.MAX_SAFE_INTEGER
      ? []
      : [t('at_most', { value: schema.maximum })]),
  ];
  const example = schema.examples?.[0];
  const hasInner = depth < DEEPEST && innerOf(schema, resolve).length > 0 && given.$ref === undefined;
  return (
    <div className="property">
      <Group gap={6}>
        <Code>{name}</Code>
        <Text span size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {kindOf(given, resolve)}
        </Text>
        {isRequired && (
          <Badge size="xs" variant="light" color="orange">
            {t('required')}
          </Badge>
        )}
        {notes.map((note) => (
          <Text key={note} span size="xs" c="dimmed">
            {note}
          </Text>
        ))}
      </Group>
      {schema.description !== undefined && (
        <Text size="xs" style={{ overflowWrap: 'anywhere' }}>
          <Inline text={schema.description} />
        </Text>
      )}
      {example !== undefined && (
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {t('example')} {JSON.stringify(example)}
        </Text>
      )}
      {hasInner && (
        <div className="properties">
          <SchemaView schema={schema} resolve={resolve} depth={depth + 1} />
        </div>
      )}
    </div>
  );
}
