/** The types of the API that the screens are written by, from its OpenAPI document. They are made when they are needed, and not kept. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import openapiTypes, { astToString } from 'openapi-typescript';

const document = new URL('../docs/generated/openapi.json', import.meta.url);
const types = new URL('../web/api/openapi.d.ts', import.meta.url);

/** Writes them if they are not what the document says. */
export async function writeApiTypes(): Promise<void> {
  const text = astToString(await openapiTypes(JSON.parse(readFileSync(document, 'utf8'))));
  if (!existsSync(types) || readFileSync(types, 'utf8') !== text) writeFileSync(types, text);
}
