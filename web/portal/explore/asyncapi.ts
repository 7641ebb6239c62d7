/** The events that there are, as the AsyncAPI document describes them. */
import { useQuery } from '@tanstack/react-query';
import { send } from '../../api/client.ts';
import type { Schema } from './openapi.ts';

interface EventType {
  name: string;
  title: string;
  summary: string;
  payload: Schema;
}

interface Document {
  components: { messages: Record<string, EventType> };
}

export function useEventTypes() {
  return useQuery({
    queryKey: ['asyncapi'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const { text } = await send({ method: 'GET', path: '/asyncapi.json', stays: true });
      const document: Document = JSON.parse(text);
      return Object.values(document.components.messages);
    },
  });
}

/** What something of a schema looks like. */
export function exampleOf(schema: Schema): unknown {
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum?.[0] !== undefined) return schema.enum[0];
  if (schema.anyOf?.[0] !== undefined) return exampleOf(schema.anyOf[0]);
  const id = /^\^([a-z]+)_\[0-7\]/.exec(schema.pattern ?? '')?.[1];
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name]) => schema.required?.includes(name) === true)
          .map(([name, property]) => [name, exampleOf(property)]),
      );
    case 'array':
      return schema.items === undefined ? [] : [exampleOf(schema.items)];
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    default:
      if (id !== undefined) return `${id}_01h455vb4pex5vsknk084sn02q`;
      return schema.format === 'date-time' ? '2026-01-31T12:00:00.000Z' : '…';
  }
}
