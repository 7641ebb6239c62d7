/**
 * A server whose claims on webhooks do not last long, for tests that end it. Its settings come by the environment; it
 * prints its address.
 */
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { webhooksWith } from '../src/services/webhooks/service.ts';
import { services } from '../src/services.ts';

const running = await boot(readConfig(process.env), [
  ...services.filter(({ name }) => name !== 'webhooks'),
  webhooksWith({ timeout_ms: 2_000, grace_ms: 1_000, wait_ms: () => 10 }),
]);
process.stdout.write(`listening at ${running.url}\n`);
process.once('SIGTERM', () => void running.stop().then(() => process.exit(0)));
