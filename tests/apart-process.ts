/** `src/main.ts` with the probe among its services, for tests that run it in several processes. */
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { seeds } from '../src/seeds.ts';
import { services } from '../src/services.ts';
import { probeService } from './probe/service.ts';

const running = await boot(readConfig(process.env), [...services, probeService(() => false)], { seeds });
const [address] = running.app.addresses();
if (typeof address !== 'object') throw new Error('the process listens at no port');
// Where it listens itself: clients come by the gateway.
process.stdout.write(`the process is ready at http://127.0.0.1:${address.port}\n\n`);
process.once(
  'SIGTERM',
  () =>
    void running
      .drain()
      .then(() => running.stop())
      .then(() => process.exit(0)),
);
