/** `npm start`: reads the configuration, boots the services, says where they are, and drains on SIGTERM. */

import { findDemoKey, openDemo } from './demo.ts';
import { boot } from './platform/boot.ts';
import { readConfig, StartupError } from './platform/config.ts';
import { isPrimaryOf, runWorkers, sayAsWorker, tellReady } from './platform/workers.ts';
import { seeds } from './seeds.ts';
import { services } from './services.ts';
import { builtWeb } from './web.ts';

function say(line: string): void {
  if (!sayAsWorker(line)) process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const config = readConfig(process.env, process.argv.slice(2));
  const webFolder = await builtWeb((line) => say(`  ${line}`)).catch((error: unknown) => {
    // Everything can be done by the API: a server without screens is better than none.
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  });
  if (isPrimaryOf(config)) {
    process.exit(await runWorkers({ config, roles: services.length + 1, say }));
  }
  const running = await boot(config, services, {
    seeds,
    ...(webFolder === undefined ? {} : { webFolder }),
    onProgress: (line) => say(`  ${line}`),
    findDemoKey: () => (config.demo ? findDemoKey(config) : undefined),
  });

  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      say(`${signal}: answering what is under way, then stopping`);
      const stopped = running.drain().then(() => running.stop());
      stopped.then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    });
  }

  // The demo is made by requests to every service.
  const demo =
    config.demo && config.services === 'all'
      ? await openDemo(running, config, (line) => say(`  ${line}`))
      : undefined;
  say('');
  say(`financialapi is ready at ${running.url}`);
  say(`  start here     ${running.url}/`);
  if (webFolder !== undefined) {
    say(`  console        ${running.url}/console`);
    say(`  developers     ${running.url}/portal`);
  }
  say(`  API            ${running.url}/api/v2/accounts   (opens in a browser, too)`);
  say(`  reference      ${running.url}/docs`);
  if (demo !== undefined) {
    say(`  demo key       ${demo.key}`);
    if (demo.platform_key !== undefined) say(`  platform key   ${demo.platform_key}`);
    if (demo.users.length > 0) {
      say(`  people         ${running.url}/identity/sign-in`);
      for (const { email, password, role } of demo.users)
        say(`                 ${email}   ${password}   (${role})`);
    }
    if (config.smtp_url === undefined)
      say(`  mail           kept and not sent, as links to sign up are: ${running.url}/console/messages`);
    say('');
    say('Try it:');
    say(`  curl -s ${running.url}/api/v2/accounts -H 'Authorization: Bearer ${demo.key}'`);
  }
  say('');
  tellReady();
}

main().catch((error: unknown) => {
  if (error instanceof StartupError) console.error(`financialapi cannot start: ${error.message}`);
  else console.error(error);
  process.exit(1);
});
