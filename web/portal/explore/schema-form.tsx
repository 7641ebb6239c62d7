/** A form for what a schema describes. What it cannot show as fields is written as JSON. */
import { Fieldset, JsonInput, NumberInput, Select, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useExploreWords } from './explore-words.ts';
import type { Schema } from './openapi.ts';

interface FieldProps {
  name: string;
  schema: Schema;
  isRequired: boolean;
  /** Undefined: left out. */
  value: unknown;
  onChange: (value: unknown) => void;
  resolve: (schema: Schema) => Schema;
}

/** As it stands in a field. */
export const textOf = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The fields of an object. */
export function SchemaForm({
  schema: given,
  value,
  onChange,
  resolve,
}: Pick<FieldProps, 'schema' | 'value' | 'onChange' | 'resolve'>) {
  const schema = resolve(given);
  const object = isRecord(value) ? value : {};
  const change = (name: string, changed: unknown) => {
    const { [name]: _before, ...rest } = object;
    onChange(changed === undefined ? rest : { ...rest, [name]: changed });
  };
  return (
    <Stack gap="xs">
      {Object.entries(schema.properties ?? {}).map(([name, property]) => (
        <Field
          key={name}
          name={name}
          schema={property}
          isRequired={schema.required?.includes(name) === true}
          value={object[name]}
          onChange={(changed) => change(name, changed)}
          resolve={resolve}
        />
      ))}
    </Stack>
  );
}

/** Whether a form can be made of it: an object with names of its own. */
export function hasForm(schema: Schema | undefined, resolve: FieldProps['resolve']): boolean {
  return schema !== undefined && resolve(schema).properties !== undefined;
}

export function Field(props: FieldProps) {
  const { name, isRequired, value, onChange, resolve } = props;
  const t = useExploreWords();
  const given = resolve(props.schema);
  // What may also be null is asked for as what it else is.
  const only = given.anyOf?.filter(({ type }) => type !== 'null') ?? [];
  const schema = only.length === 1 && only[0] !== undefined ? { ...given, ...resolve(only[0]) } : given;
  const choices = schema.enum ?? (only.length > 1 ? constsOf(only) : undefined);
  const shared = {
    label: name,
    required: isRequired,
    ...(schema.description === undefined ? {} : { description: schema.description }),
  };
  if (choices !== undefined) {
    return (
      <Select
        {...shared}
        clearable={!isRequired}
        placeholder={t('leave_out')}
        data={choices.map(textOf)}
        value={value === undefined ? null : textOf(value)}
        onChange={(chosen) => onChange(choices.find((one) => textOf(one) === chosen))}
      />
    );
  }
  switch (schema.type) {
    case 'string':
      return (
        <TextInput
          {...shared}
          placeholder={textOf(schema.examples?.[0])}
          autoComplete="off"
          value={typeof value === 'string' ? value : ''}
          onChange={({ currentTarget: { value: typed } }) =>
            onChange(typed === '' && !isRequired ? undefined : typed)
          }
        />
      );
    case 'integer':
    case 'number':
      return (
        <NumberInput
          {...shared}
          allowDecimal={schema.type === 'number'}
          value={typeof value === 'number' ? value : ''}
          onChange={(typed) => onChange(typeof typed === 'number' ? typed : undefined)}
        />
      );
    case 'boolean':
      return (
        <Select
          {...shared}
          clearable={!isRequired}
          placeholder={schema.default === undefined ? t('leave_out') : textOf(schema.default)}
          data={[
            { value: 'true', label: t('yes') },
            { value: 'false', label: t('no') },
          ]}
          value={typeof value === 'boolean' ? String(value) : null}
          onChange={(chosen) => onChange(chosen === null ? undefined : chosen === 'true')}
        />
      );
    default:
      return schema.properties === undefined ? (
        <JsonField {...props} {...shared} />
      ) : (
        <Fieldset legend={name} p="xs">
          <SchemaForm
            schema={schema}
            value={value}
            // An object that nothing was filled in of is left out.
            onChange={(changed) =>
              onChange(!isRequired && isRecord(changed) && isBlank(changed) ? undefined : changed)
            }
            resolve={resolve}
          />
        </Fieldset>
      );
  }
}

const isBlank = (value: Record<string, unknown>) =>
  Object.values(value).every((one) => one === undefined || one === '');

function constsOf(schemas: readonly Schema[]): unknown[] | undefined {
  const consts = schemas.map((one) => one.const);
  return consts.includes(undefined) ? undefined : consts;
}

function JsonField({
  label,
  description,
  value,
  required,
  onChange,
}: {
  label: string;
  description?: string;
  required: boolean;
  value: unknown;
  onChange: (value: unknown) => void;
}) {
  const t = useExploreWords();
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, null, 2)));
  return (
    <JsonInput
      size="xs"
      label={label}
      {...(description === undefined ? {} : { description })}
      required={required}
      placeholder="JSON"
      validationError={t('not_json')}
      autosize
      minRows={1}
      maxRows={12}
      value={text}
      onChange={(typed) => {
        setText(typed);
        const parsed = parseJson(typed);
        if (typed.trim() === '') onChange(undefined);
        else if (parsed !== undefined) onChange(parsed.value);
      }}
    />
  );
}

/** What a text says as JSON; undefined where it is none. */
export function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
