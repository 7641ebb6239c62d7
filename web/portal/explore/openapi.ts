/** The API as its OpenAPI document describes it, by product, as far as a community is shown it. */
import { useQuery } from '@tanstack/react-query';
import { send } from '../../api/client.ts';

/** JSON Schema as the document has it. */
export interface Schema {
  $ref?: string;
  type?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  additionalProperties?: Schema | boolean;
  examples?: unknown[];
  default?: unknown;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  description?: string;
  schema: Schema;
}

interface Media {
  schema?: Schema;
  example?: unknown;
}

interface Described {
  operationId: string;
  summary?: string;
  description?: string;
  tags?: string[];
  deprecated?: boolean;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, { description?: string; content?: Record<string, Media> }>;
  'x-permission'?: string;
}

interface Document {
  paths: Record<string, Partial<Record<Lowercase<Method>, Described>>>;
  components: { schemas: Record<string, Schema> };
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
const methods: readonly Method[] = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'];

export interface Operation extends Described {
  method: Method;
  path: string;
}

export interface Product {
  /** The tag in the document. */
  tag: string;
  slug: string;
  operations: Operation[];
}

export interface Api {
  products: Product[];
  /** The schema that a reference stands for, or the schema itself. */
  resolve: (schema: Schema) => Schema;
}

const slugOf = (tag: string) =>
  tag
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');

function apiOf(document: Document): Api {
  const products = new Map<string, Product>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of methods) {
      const name = method.toLowerCase();
      const described = Object.entries(item).find(([found]) => found === name)?.[1];
      if (described === undefined) continue;
      const tag = described.tags?.[0] ?? 'other';
      const product = products.get(tag) ?? { tag, slug: slugOf(tag), operations: [] };
      product.operations.push({ ...described, method, path });
      products.set(tag, product);
    }
  }
  const resolve = (schema: Schema): Schema => {
    const name = schema.$ref?.split('/').at(-1);
    if (name === undefined) return schema;
    const found = document.components.schemas[name];
    if (found === undefined) return schema;
    const { $ref: _ref, ...beside } = schema;
    return { ...found, ...beside };
  };
  return { products: [...products.values()], resolve };
}

/** Everything the document has. */
export function useApi() {
  return useQuery({
    queryKey: ['openapi'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const { text } = await send({ method: 'GET', path: '/openapi.json', stays: true });
      const document: Document = JSON.parse(text);
      return apiOf(document);
    },
  });
}

/** What is sent, if anything is. */
export function bodyOf(operation: Operation): Media | undefined {
  return operation.requestBody?.content['application/json'];
}

export const isIdempotent = ({ parameters = [] }: Operation) =>
  parameters.some(({ name }) => name.toLowerCase() === 'idempotency-key');
