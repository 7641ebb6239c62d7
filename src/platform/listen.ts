/** Hearing what PostgreSQL is told to notify (LISTEN), over a connection of its own that is made anew when it is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface Listening {
  stop(): Promise<void>;
}

const PAUSE_MS = 500;

/**
 * Calls `onNotice` at each notification, and whenever the connection was made or lost: something may have been said that
 * was not heard. Resolves when it listens; what cannot be reached then is tried again, as later.
 */
export async function listen(options: {
  url: string;
  role: string;
  channel: string;
  onNotice: () => void;
  onError: (error: unknown) => void;
}): Promise<Listening> {
  const { url, role, channel, onNotice, onError } = options;
  const stopping = new AbortController();
  let client: pg.Client | undefined;

  async function connect(): Promise<void> {
    const made = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      options: `-c role=${role}`,
      application_name: `financialapi ${role} listening`,
    });
    let lost = false;
    const lose = (error?: unknown) => {
      if (lost) return;
      lost = true;
      onNotice();
      if (error !== undefined && !stopping.signal.aborted) onError(error);
      void end(made);
      void reconnect();
    };
    made.on('error', lose);
    made.on('end', () => lose());
    made.on('notification', onNotice);
    try {
      await made.connect();
      await made.query(`listen ${pg.escapeIdentifier(channel)}`);
      client = made;
      onNotice();
    } catch (error) {
      lose(error);
    }
  }

  /** A connection that is lost may fail to end, which changes nothing. */
  async function end(lost: pg.Client): Promise<void> {
    try {
      await lost.end();
    } catch {}
  }

  async function reconnect(): Promise<void> {
    client = undefined;
    try {
      await sleep(PAUSE_MS, undefined, { signal: stopping.signal });
    } catch {
      return; // Stopping.
    }
    await connect();
  }

  await connect();
  return {
    stop: async () => {
      stopping.abort();
      await client?.end();
    },
  };
}
