/** Every route under `/api/`, as it was registered: what can be done at a URL, below it, and with an id. */
import type { RouteOptions } from 'fastify';
import { asSchema, idPrefixOf, type Schema } from './schema.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers until its client goes, or may ask no more: pages do not lead to it. */
    endless?: true;
  }
}

export interface Endpoint {
  method: string;
  /** Path template, as `/api/v2/accounts/:account_id`. */
  template: string;
  summary: string;
  tag: string;
  deprecated: boolean;
  body: Schema | undefined;
  query: Schema | undefined;
  headers: Schema | undefined;
  params: Schema | undefined;
  /** Whether asking it may change something: then it is a button, never a link. */
  changes_state: boolean;
}

/** An endpoint at a path without open parameters. */
export interface Operation {
  endpoint: Endpoint;
  path: string;
}

export interface Endpoints {
  add(route: RouteOptions): void;
  all(): readonly Endpoint[];
  /** What can be asked at a path, GET first. */
  at(path: string): Operation[];
  /** What can be asked one or more fixed steps below a path. */
  below(path: string): Operation[];
  /** Where GET shows the thing with this id. */
  pathOfId(id: string): string | undefined;
  /** Where GET shows a member of the list at a path. */
  pathOfMember(listPath: string, member: string | number): string | undefined;
  /** Where GET lists the things whose ids have this prefix. */
  listOf(prefix: string): string | undefined;
}

const methodOrder = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const idForm = /^([a-z]{2,8})_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

function stepsOf(path: string): string[] {
  return path.split('/').slice(1);
}

/** The path of a template whose first steps are those of `path`; undefined if they are not, or a parameter is left. */
function fill(template: string, path: string): string | undefined {
  const given = stepsOf(path);
  const wanted = stepsOf(template);
  if (wanted.length < given.length) return undefined;
  const filled: string[] = [];
  for (const [index, step] of wanted.entries()) {
    const value = given[index];
    if (step.startsWith(':')) {
      if (value === undefined || value === '') return undefined;
      filled.push(value);
    } else if (value !== undefined && value !== step) {
      return undefined;
    } else {
      filled.push(step);
    }
  }
  return `/${filled.join('/')}`;
}

/** Whether the parameters of a path look as the route wants them: `batch` is no id of a transfer. */
function fitsParameters({ template, params }: Endpoint, path: string): boolean {
  const given = stepsOf(path);
  return stepsOf(template).every((step, index) => {
    const pattern = step.startsWith(':') ? params?.properties?.[step.slice(1)]?.pattern : undefined;
    return pattern === undefined || new RegExp(pattern, 'u').test(given[index] ?? '');
  });
}

export function collectEndpoints(): Endpoints {
  const endpoints: Endpoint[] = [];

  function at(path: string): Operation[] {
    const found = endpoints.filter(({ template }) => {
      return stepsOf(template).length === stepsOf(path).length && fill(template, path) === path;
    });
    // A fixed step is meant before a parameter: /transfers/batch is not the transfer called batch.
    const parameters = (template: string) => template.split(':').length;
    const fewest = Math.min(...found.map(({ template }) => parameters(template)));
    return found
      .filter(({ template }) => parameters(template) === fewest)
      .map((endpoint) => ({ endpoint, path }))
      .toSorted((a, b) => methodOrder.indexOf(a.endpoint.method) - methodOrder.indexOf(b.endpoint.method));
  }

  function shows(path: string): string | undefined {
    return at(path).some(({ endpoint }) => endpoint.method === 'GET' && !endpoint.changes_state)
      ? path
      : undefined;
  }

  function memberOf(prefix: string): Endpoint | undefined {
    return endpoints.find(({ method, template, params, changes_state }) => {
      const last = stepsOf(template).at(-1) ?? '';
      const schema = params?.properties?.[last.slice(1)];
      return (
        method === 'GET' &&
        !changes_state &&
        last.startsWith(':') &&
        schema !== undefined &&
        idPrefixOf(schema) === prefix &&
        template.split(':').length === 2
      );
    });
  }

  return {
    add({ method, url, schema, config }) {
      if (!url.startsWith('/api/') || schema?.hide === true || config?.endless === true) return;
      const methods = Array.isArray(method) ? method : [method];
      for (const name of methods) {
        if (!methodOrder.includes(name)) continue;
        endpoints.push({
          method: name,
          template: url,
          summary: schema?.summary ?? '',
          tag: schema?.tags?.[0] ?? '',
          deprecated: schema?.deprecated === true,
          body: asSchema(schema?.body),
          query: asSchema(schema?.querystring),
          headers: asSchema(schema?.headers),
          params: asSchema(schema?.params),
          changes_state: name !== 'GET' || config?.changes_state === true,
        });
      }
    },
    all: () => endpoints,
    at,
    below(path) {
      const base = path.replace(/\/$/, '');
      return endpoints.flatMap((endpoint) => {
        const filled = fill(endpoint.template, base);
        if (filled === undefined || stepsOf(filled).length <= stepsOf(base).length) return [];
        if (!fitsParameters(endpoint, filled)) return [];
        return filled === path || filled === `${base}/` ? [] : [{ endpoint, path: filled }];
      });
    },
    pathOfId(id) {
      const [, prefix] = idForm.exec(id) ?? [];
      const member = prefix === undefined ? undefined : memberOf(prefix);
      return member?.template.replace(/:[^/]+$/, id);
    },
    pathOfMember(listPath, member) {
      return shows(`${listPath.replace(/\/$/, '')}/${encodeURIComponent(member)}`);
    },
    listOf(prefix) {
      const template = memberOf(prefix)?.template.replace(/\/:[^/]+$/, '');
      return template === undefined ? undefined : (shows(template) ?? shows(`${template}/`));
    },
  };
}
