/**
 * Bugs to plant into `ledger.post`, each a text of the function and what takes its place: a model test that does not
 * find them would prove nothing.
 */
import assert from 'node:assert/strict';
import type { Client } from 'pg';

export interface Mutant {
  /** What the ledger then does wrong. */
  bug: string;
  /** One that comes upon it soon. Others do as well, later: no operation is made for it. */
  seed: number;
  text: string;
  instead: string;
}

export const mutants: readonly Mutant[] = [
  {
    bug: 'a transfer may overdraw by one minor unit',
    seed: 3,
    text: 'if l_balance[j] < a_floor[s] and',
    instead: 'if l_balance[j] < a_floor[s] - 1 and',
  },
  {
    bug: 'what was reversed before is forgotten',
    seed: 6,
    text: 'r.same_leg is not true or r.left_amount < r.wanted',
    instead: 'r.same_leg is not true',
  },
  {
    bug: 'a refused transfer leaves a leg in the balances that follow',
    seed: 6,
    text: 'for x in l_first..l_applied loop',
    instead: 'for x in l_first..l_applied - 1 loop',
  },
  {
    bug: 'a refused link leaves a gap in the positions',
    seed: 6,
    text: 'v_position := v_position - (i - i_group);',
    instead: '',
  },
  {
    bug: 'a final capture releases nothing',
    seed: 2,
    text: 'if p_finals[i] then',
    instead: 'if false then',
  },
  {
    bug: 'a released amount stays held',
    seed: 1,
    text: 'v_change := -v_amount;\n        end if;\n      end if;',
    instead: 'v_change := 0;\n        end if;\n      end if;',
  },
  {
    bug: 'a key may be used again for another body',
    seed: 1,
    text: 'or v_known.request <> p_requests[k]',
    instead: '',
  },
  {
    bug: 'a closed account takes transfers',
    seed: 27,
    text: "when a_gate[s] & 4 > 0 then 'account_closed'\n              when a_gate[s] & 8",
    instead: 'when a_gate[s] & 8',
  },
];

/** Plants a bug into the database, and returns how to take it out again. */
export async function plant(sql: Client, { bug, text, instead }: Mutant): Promise<() => Promise<void>> {
  const { rows } = await sql.query<{ sound: string }>(
    "select pg_get_functiondef(p.oid) as sound from pg_proc p where p.pronamespace = 'ledger'::regnamespace and proname = 'post'",
  );
  const sound = rows[0]?.sound ?? '';
  assert.equal(sound.split(text).length, 2, `"${bug}" belongs at exactly one place of ledger.post`);
  await sql.query(sound.replace(text, () => instead));
  return async () => {
    await sql.query(sound);
  };
}
