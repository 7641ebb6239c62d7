import { fileURLToPath } from 'node:url';
import { Type } from 'typebox';
import type { Database } from '../../platform/db.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { provide } from '../../platform/port/port.ts';
import { openSecrets } from '../../platform/secret.ts';
import { defineService } from '../../platform/service.ts';
import { subscriptionConsumer } from './consumers.ts';
import { notificationsPort } from './contract.ts';
import { startDelivery } from './deliver.ts';
import { refuse } from './errors.ts';
import { forgetContents } from './forget-contents.ts';
import { getLimitNotices, setLimitNotices } from './limit-notices.ts';
import { messageRoutes } from './message-routes.ts';
import { permissions } from './permissions.ts';
import { openProviders, waysOut } from './providers.ts';
import { recipientRoutes } from './recipient-routes.ts';
import { tell } from './tell.ts';
import { templateRoutes } from './template-routes.ts';
import { encryptedColumns } from './webhook.ts';

const Standing = Type.Object({ messages: Type.BigInt(), oldest_s: Type.Number() });

function measureDue(db: Database, metrics: Metrics): void {
  const read = () => db.rows(Standing, 'select * from notifications.due_standing()');
  metrics.gauge(
    'notifications_due',
    'Messages whose time has come and that are not sent yet',
    async () => {
      const [standing] = await read();
      return Number(standing?.messages ?? 0n);
    },
    'installation',
  );
  metrics.gauge(
    'notifications_oldest_due_seconds',
    'How long the oldest of them has been due',
    async () => {
      const [standing] = await read();
      return standing?.oldest_s ?? 0;
    },
    'installation',
  );
}

export const notifications = defineService({
  name: 'notifications',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  permissions,
  jobs: {
    'notifications.forget_contents': {
      meaning:
        'Forgets what messages said, and where they were sent, NOTIFICATIONS_KEPT_DAYS after they were; why they were sent or not stays',
      per: 'tenant',
      schedule: { cron: '20 4 * * *' },
    },
  },
  encrypted: encryptedColumns,
  provides: notificationsPort,
  start({ db, config, log, metrics, outgoing }) {
    const secrets = openSecrets({ keys: config.identity_encryption_keys, data_dir: config.data_dir });
    const attempts = metrics.counter(
      'notifications_messages_total',
      'Attempts to send a message, by channel and how they ended: sent, retried, failed or suppressed',
      ['channel', 'outcome'],
    );
    measureDue(db, metrics);
    const delivery = startDelivery({
      db,
      log,
      providers: openProviders(config, { outgoing, secrets }),
      onAttempt: (channel, outcome) => attempts.inc({ channel, outcome }),
    });
    return {
      port: provide(notificationsPort, {
        tell: async (asked, input) => {
          const told = await tell(db, asked, input);
          delivery.wake();
          return told;
        },
        getWaysOut: async () => waysOut(config),
        getLimitNotices: (asked) => getLimitNotices(db, asked),
        setLimitNotices: (asked, input) => setLimitNotices(db, asked, input),
      }),
      routes: async (app) => {
        await app.register(recipientRoutes(db, secrets));
        await app.register(templateRoutes(db));
        await app.register(messageRoutes(db, delivery.wake));
      },
      consumers: [subscriptionConsumer(delivery.wake)],
      jobs: {
        'notifications.forget_contents': {
          run: async (run) => ({
            messages: await forgetContents(db, run, config.notifications_kept_days),
          }),
        },
      },
      stop: () => delivery.stop(),
    };
  },
});
