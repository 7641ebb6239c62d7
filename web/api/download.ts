/** Files that the API makes, and files that are made here, as the browser keeps them. */
import { addressOf, problemIn } from './client.ts';

/**
 * Downloads what a GET answers, under the name that the server gives it.
 *
 * @param options.language that it is written in, where the server can
 * @throws ApiProblem where the server refuses
 */
export async function download(options: {
  path: string;
  ids?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  language: string;
}): Promise<void> {
  const response = await fetch(addressOf(options), { headers: { 'accept-language': options.language } });
  if (!response.ok) throw await problemIn(response);
  const name = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1];
  save(await response.blob(), name ?? 'download');
}

/** Gives a file to the browser to keep. */
export function save(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
