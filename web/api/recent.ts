/** What this tab asked for lately that moves or creates, so that it can be asked what became of it. */

export interface Asked {
  key: string;
  /** Method and path. */
  what: string;
  at: string;
  /** Of an answer; nobody answered: 0. */
  status: number;
}

const KEPT_AS = 'financialapi.asked';
const MOST = 25;
/** Only the ledger keeps what became of a key. */
const OF_LEDGER = /^\/api\/v2\/(accounts|chart-of-accounts|transfers|holds)(\/|$)/;

function isAsked(value: unknown): value is Asked {
  return typeof value === 'object' && value !== null && 'key' in value && 'what' in value && 'at' in value;
}

/** The newest first. */
export function recentlyAsked(): Asked[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isAsked) : [];
  } catch {
    return [];
  }
}

export function noteAsked(path: string, asked: Asked): void {
  if (!OF_LEDGER.test(path)) return;
  const others = recentlyAsked().filter(({ key }) => key !== asked.key);
  sessionStorage.setItem(KEPT_AS, JSON.stringify([asked, ...others].slice(0, MOST)));
}
