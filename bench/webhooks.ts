/**
 * Webhooks, from events in the outbox to the answers of their receiver being kept, beside posting as much to the same
 * receiver with nothing kept: what the outbox, the bus, signing and keeping each attempt cost.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Agent, request } from 'undici';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, eventTypesOf } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { services } from '../src/services.ts';
import { withDatabase, writeEvents } from './events.ts';

export interface WebhookFigures {
  deliveries_per_s: number;
  bare_posts_per_s: number;
}

/** Endpoints, each of which is sent every event. */
const ENDPOINTS = 20;
const IN_FLIGHT = 64;
const TYPE = 'ledger.account.opened';

async function openReceiver(): Promise<{ url: string; close: () => void }> {
  const server = createServer((asked, answer) => {
    asked.resume().on('end', () => answer.writeHead(204).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address !== 'object') throw new Error('the receiver does not listen');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function measureBare(url: string, body: string, total: number): Promise<number> {
  const dispatcher = new Agent({ connections: IN_FLIGHT });
  const began = performance.now();
  let left = total;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (; left > 0; ) {
        left -= 1;
        const answer = await request(url, { method: 'POST', body, dispatcher });
        await answer.body.dump();
      }
    }),
  );
  await dispatcher.close();
  return total / ((performance.now() - began) / 1_000);
}

/**
 * @param server connection string of the server, as superuser
 * @param deliveries how many there are at least
 */
export async function measureWebhooks(server: string, deliveries: number): Promise<WebhookFigures> {
  const example = JSON.stringify(eventTypesOf(services)[TYPE]?.example);
  const count = Math.ceil(deliveries / ENDPOINTS);
  const receiver = await openReceiver();
  try {
    return await withDatabase(server, async (url) => {
      const settings = {
        DATABASE_URL: url,
        PORT: '0',
        DEMO: 'false',
        LOG_LEVEL: 'error',
        OUTGOING_ALLOW: '127.0.0.0/8',
        IDENTITY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      };
      const running = await boot(readConfig(settings), services);
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        const tenant_id = await createTenant(running.platform, { name: 'Bench', base_currency: 'BRL' });
        const key = await createKey(
          running.platform,
          { tenant_id, environment: 'sandbox' },
          { label: 'bench' },
        );
        for (let made = 0; made < ENDPOINTS; made += 1) {
          const { statusCode, body } = await running.app.inject({
            method: 'POST',
            url: '/api/v2/webhooks/endpoints',
            headers: { authorization: `Bearer ${key}`, 'idempotency-key': `endpoint-${made}` },
            payload: { url: `${receiver.url}/${made}`, event_types: [TYPE] },
          });
          if (statusCode !== 201) throw new Error(body);
        }
        const delivered = async (total: number): Promise<void> => {
          const deadline = performance.now() + 120_000;
          for (;;) {
            const { rows } = await client.query<{ n: number }>(
              "select count(*)::int as n from webhooks.deliveries where status = 'delivered'",
            );
            if ((rows[0]?.n ?? 0) >= total) return;
            if (performance.now() > deadline) {
              throw new Error(`${rows[0]?.n} of ${total} deliveries were made in two minutes`);
            }
            await sleep(20);
          }
        };
        const before = await measureBare(receiver.url, example, deliveries);
        // Endpoints that answered once may have several requests at a time.
        await writeEvents(client, tenant_id, 1, TYPE, example);
        running.wakeRelay();
        await delivered(ENDPOINTS);
        const began = performance.now();
        await writeEvents(client, tenant_id, count, TYPE, example);
        running.wakeRelay();
        await delivered(ENDPOINTS * (count + 1));
        const deliveries_per_s = (ENDPOINTS * count) / ((performance.now() - began) / 1_000);
        const after = await measureBare(receiver.url, example, deliveries);
        return { deliveries_per_s, bare_posts_per_s: (before + after) / 2 };
      } finally {
        await client.end();
        await running.stop();
      }
    });
  } finally {
    receiver.close();
  }
}
