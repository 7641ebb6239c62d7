/** Lists of the API, whichever they are: a page of rows, and where the next one begins. */
import { type BodyOf, type GetPath, send } from './client.ts';

/** Addresses that answer with a list. */
export type ListPath = {
  [Path in GetPath]: BodyOf<Path> extends { data: unknown[] } ? Path : never;
}[GetPath];

export type RowOf<Path extends ListPath> =
  BodyOf<Path> extends { data: (infer Row)[] } ? Row & object : never;

interface ListAnswer<Row> {
  data: Row[];
  /** Null on the last page; absent where there is one page only. */
  next_cursor?: string | null;
}

/**
 * A page of a list. What is asked for comes from the address of the screen, so that the server, and not a type, says
 * whether it can be asked.
 *
 * @throws ApiProblem where the server refuses
 */
export async function listRows<Path extends ListPath>(
  path: Path,
  query: Readonly<Record<string, string>>,
  ids: Readonly<Record<string, string>> = {},
): Promise<ListAnswer<RowOf<Path>>> {
  const { text } = await send({ method: 'GET', path, ids, query });
  const answer: ListAnswer<RowOf<Path>> = JSON.parse(text);
  return answer;
}
