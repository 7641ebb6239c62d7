/** Kafka Connect on this machine with Debezium's connector for PostgreSQL, for tests: one worker, which runs one connector. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resolveClasspath, whyNoJava } from './classpath.ts';
import { jvm } from './cluster.ts';

const pom = fileURLToPath(new URL('connect-pom.xml', import.meta.url));

export interface Worker {
  /** How it ended, with what it said; undefined while it runs. */
  end: () => string | undefined;
  /** Resolves when it ended. */
  ended: Promise<unknown>;
  /** Ends the process at once, as `kill -9` does. */
  kill: () => Promise<void>;
}

/** Why no Kafka Connect can be started here, in words for a human; undefined when it can. */
export function whyNoConnect(): string | undefined {
  return whyNoJava(pom);
}

/** Fetches the artifacts, once. Answers the classpath of the worker. */
export function prepareConnect(onProgress: (line: string) => void = () => {}): string {
  return resolveClasspath(pom, onProgress);
}

/**
 * Starts a worker on the folder in which it keeps how far it has come.
 *
 * @param options.connector its configuration, as a file of properties
 */
export function startConnect(options: { data_dir: string; brokers: string; connector: string }): Worker {
  const { data_dir, brokers, connector } = options;
  const classpath = prepareConnect();
  mkdirSync(data_dir, { recursive: true });
  const worker = join(data_dir, 'worker.properties');
  const own = join(data_dir, 'connector.properties');
  const log = join(data_dir, 'connect.log');
  const settings = {
    'bootstrap.servers': brokers,
    'offset.storage.file.filename': join(data_dir, 'connect.offsets'),
    // What a worker that is killed had not written down comes again: often, so that a test sees little of it.
    'offset.flush.interval.ms': 500,
    listeners: 'http://127.0.0.1:0',
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    // All of it is on the class path and says what it is: nothing is searched for.
    'plugin.discovery': 'service_load',
  };
  writeFileSync(
    worker,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  writeFileSync(own, connector, { mode: 0o600 });
  appendFileSync(log, '');
  const output = openSync(log, 'a');
  const program = 'org.apache.kafka.connect.cli.ConnectStandalone';
  const child = spawn('java', [...jvm, '-cp', classpath, program, worker, own], {
    stdio: ['ignore', output, output],
  });
  const killChild = () => child.kill('SIGKILL');
  process.once('exit', killChild);
  const running = () => child.exitCode === null && child.signalCode === null;
  const ended = once(child, 'exit');
  return {
    end: () =>
      running()
        ? undefined
        : `the worker ended (${child.exitCode ?? child.signalCode}):\n${readFileSync(log, 'utf8')}`,
    ended,
    kill: async () => {
      process.off('exit', killChild);
      killChild();
      await ended;
    },
  };
}
