/** Whether a change of the event catalogue breaks those who read events today. */

type Json = Readonly<Record<string, unknown>>;

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const members = (value: unknown): Json => (isJson(value) ? value : {});
const names = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

/** What a value may be, of which a schema without a choice says one. */
function choicesOf(schema: Json): Json[] {
  return Array.isArray(schema['anyOf']) ? schema['anyOf'].map(members) : [schema];
}

/** What readers of the schema before cannot rely on any more. New members, and new values of a list, harm nobody. */
function schemaBreaks(before: Json, after: Json, at: string): string[] {
  const breaks: string[] = [];
  const [could, can] = [choicesOf(before), choicesOf(after)];
  if (could.length > 1 || can.length > 1) {
    for (const choice of can) {
      // One more value of a list harms nobody; a thing of a kind that was never there does.
      const isKnown =
        could.some((known) => schemaBreaks(known, choice, at).length === 0) ||
        ('const' in choice && could.some((known) => 'const' in known));
      if (!isKnown) breaks.push(`${at} may be what it never was: ${JSON.stringify(choice)}`);
    }
    return breaks;
  }
  if (JSON.stringify(before['type']) !== JSON.stringify(after['type'])) {
    breaks.push(`${at} was ${JSON.stringify(before['type'])} and is ${JSON.stringify(after['type'])}`);
  }
  for (const keyword of ['const', 'format', 'pattern']) {
    if (before[keyword] !== undefined && before[keyword] !== after[keyword]) {
      breaks.push(`${at} has another ${keyword}`);
    }
  }
  const [had, has] = [members(before['properties']), members(after['properties'])];
  for (const [name, schema] of Object.entries(had)) {
    const place = `${at}/${name}`;
    if (!(name in has)) breaks.push(`${place} is gone`);
    else breaks.push(...schemaBreaks(members(schema), members(has[name]), place));
  }
  const required = new Set(names(after['required']));
  for (const name of names(before['required'])) {
    if (name in has && !required.has(name)) breaks.push(`${at}/${name} was always there and may be absent`);
  }
  if (isJson(before['items'])) {
    breaks.push(...schemaBreaks(before['items'], members(after['items']), `${at}/items`));
  }
  return breaks;
}

/**
 * What breaks between two AsyncAPI documents of the catalogue: types that are gone, and data that readers of a type cannot
 * read as before, unless the type's version was raised.
 */
export function breakingChanges(before: unknown, after: unknown): string[] {
  const messagesOf = (document: unknown) => members(members(members(document)['components'])['messages']);
  const [had, has] = [messagesOf(before), messagesOf(after)];
  return Object.entries(had).flatMap(([type, message]) => {
    const now = has[type];
    if (now === undefined) return [`${type} is gone`];
    if (Number(members(now)['x-version']) > Number(members(message)['x-version'])) return [];
    return schemaBreaks(members(members(message)['payload']), members(members(now)['payload']), type);
  });
}
