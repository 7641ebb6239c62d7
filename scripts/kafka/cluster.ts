/**
 * Apache Kafka in KRaft mode on this machine, for tests and development: one broker or three on loopback, made of the
 * artifacts that Maven resolves from pom.xml beside this file. Needs Java 17 or newer, and Maven for the first time.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Admin } from '@platformatic/kafka';
import { resolveClasspath, whyNoJava } from './classpath.ts';

const pom = fileURLToPath(new URL('pom.xml', import.meta.url));

/** How clients of a secured cluster prove who they are. */
interface Credentials {
  ca_file: string;
  user: string;
  password: string;
}

interface Broker {
  id: number;
  /** `host:port` for clients. */
  address: string;
  /** Undefined while it does not run. */
  pid: () => number | undefined;
  /** Ends the process at once, as `kill -9` does. */
  kill: () => Promise<void>;
  /** Ends it in order: it hands over what it leads. */
  stop: () => Promise<void>;
  /** Starts it again on what it had stored. */
  start: () => Promise<void>;
}

export interface Cluster {
  brokers: readonly Broker[];
  /** The addresses of all brokers, as KAFKA_BROKERS takes them. */
  addresses: string;
  /** With `secure` only. */
  credentials: Credentials | undefined;
  stop: () => Promise<void>;
}

export interface ClusterOptions {
  /** Folder of everything that is stored; a cluster that was there before starts again. */
  data_dir: string;
  brokers: 1 | 3;
  /** Clients come in by TLS and SASL (SCRAM-SHA-512 or PLAIN). */
  secure?: boolean;
  onProgress?: (line: string) => void;
}

/** What a cluster is, kept in its folder: ports and identity must be the same at its next start. */
interface Plan {
  cluster_id: string;
  nodes: { id: number; client: number; internal: number; controller: number }[];
  password: string | undefined;
}

/** Why no Kafka can be started here, in words for a human; undefined when it can. */
export function whyNoKafka(): string | undefined {
  return whyNoJava(pom);
}

/** Fetches the artifacts of Kafka, once; a later call takes no time. Answers the classpath of the server. */
export function prepareKafka(onProgress: (line: string) => void = () => {}): string {
  return resolveClasspath(pom, onProgress);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  const ports: number[] = [];
  for (const server of servers) {
    if (!server.listening) await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a server on a port has an address');
    ports.push(address.port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}

/** The plan that the folder holds, or a new one. */
async function planOf({ data_dir, brokers, secure = false }: ClusterOptions): Promise<Plan> {
  const file = join(data_dir, 'cluster.json');
  if (existsSync(file)) {
    const plan: Plan = JSON.parse(readFileSync(file, 'utf8'));
    if (plan.nodes.length !== brokers || (plan.password !== undefined) !== secure) {
      throw new Error(
        `${data_dir} holds another cluster (${plan.nodes.length} brokers); name another folder`,
      );
    }
    return plan;
  }
  const ports = await freePorts(3 * brokers);
  const plan: Plan = {
    // Kafka takes one that begins with a dash for an option: the first letter is never one.
    cluster_id: `A${randomBytes(16).toString('base64url').slice(1)}`,
    nodes: Array.from({ length: brokers }, (_, index) => ({
      id: index + 1,
      client: ports[3 * index] ?? 0,
      internal: ports[3 * index + 1] ?? 0,
      controller: ports[3 * index + 2] ?? 0,
    })),
    password: secure ? randomBytes(18).toString('base64url') : undefined,
  };
  mkdirSync(data_dir, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${JSON.stringify(plan, undefined, 2)}\n`, { mode: 0o600 });
  return plan;
}

const user = 'financialapi';

/** Makes the key of the brokers and the certificate that clients trust. Answers the certificate's file. */
function makeCertificate(data_dir: string, password: string): string {
  const store = join(data_dir, 'broker.p12');
  const certificate = join(data_dir, 'ca.pem');
  if (existsSync(certificate)) return certificate;
  const common = ['-alias', 'broker', '-keystore', store, '-storetype', 'PKCS12', '-storepass', password];
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=dns:localhost,ip:127.0.0.1'];
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', '365'];
  execFileSync('keytool', ['-genkeypair', ...common, ...key, ...names], { stdio: 'ignore' });
  execFileSync('keytool', ['-exportcert', '-rfc', ...common, '-file', certificate], { stdio: 'ignore' });
  return certificate;
}

function propertiesOf(plan: Plan, node: Plan['nodes'][number], data_dir: string): string {
  const { password } = plan;
  const replicas = plan.nodes.length;
  const least = Math.max(1, replicas - 1);
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': plan.nodes
      .map(({ id, controller }) => `${id}@127.0.0.1:${controller}`)
      .join(),
    listeners: `CLIENT://127.0.0.1:${node.client},INTERNAL://127.0.0.1:${node.internal},CONTROLLER://127.0.0.1:${node.controller}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${node.client},INTERNAL://127.0.0.1:${node.internal}`,
    'listener.security.protocol.map': `CLIENT:${password === undefined ? 'PLAINTEXT' : 'SASL_SSL'},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'inter.broker.listener.name': 'INTERNAL',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(data_dir, `node-${node.id}`),
    'auto.create.topics.enable': false,
    'default.replication.factor': replicas,
    'min.insync.replicas': least,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': least,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': least,
    'share.coordinator.state.topic.num.partitions': 1,
    // A dead broker is noticed within seconds, and a group does not wait for members that may yet come.
    'broker.session.timeout.ms': 4_000,
    'broker.heartbeat.interval.ms': 500,
    'replica.lag.time.max.ms': 4_000,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'log.cleaner.dedupe.buffer.size': 2_097_152,
    'num.network.threads': 1,
    'num.io.threads': 2,
    'background.threads': 1,
  };
  if (password !== undefined) {
    const module = 'org.apache.kafka.common.security';
    Object.assign(settings, {
      'listener.name.client.ssl.keystore.type': 'PKCS12',
      'listener.name.client.ssl.keystore.location': join(data_dir, 'broker.p12'),
      'listener.name.client.ssl.keystore.password': password,
      'listener.name.client.ssl.key.password': password,
      'listener.name.client.sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
      'listener.name.client.scram-sha-512.sasl.jaas.config': `${module}.scram.ScramLoginModule required;`,
      'listener.name.client.plain.sasl.jaas.config': `${module}.plain.PlainLoginModule required user_${user}="${password}";`,
    });
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** A small heap and no optimizing compiler: what is tested here is not Kafka's speed. */
export const jvm = [
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.apache.logging.log4j.level=WARN',
];

/** Starts the cluster and waits till every broker answers. */
export async function startKafka(options: ClusterOptions): Promise<Cluster> {
  const { data_dir, onProgress = () => {} } = options;
  const classpath = prepareKafka(onProgress);
  const plan = await planOf(options);
  const { password } = plan;
  const credentials =
    password === undefined ? undefined : { ca_file: makeCertificate(data_dir, password), user, password };

  async function openBroker(node: Plan['nodes'][number]): Promise<Broker> {
    const properties = join(data_dir, `node-${node.id}.properties`);
    const log = join(data_dir, `node-${node.id}.log`);
    let child: ChildProcess | undefined;
    const running = () => child !== undefined && child.exitCode === null && child.signalCode === null;
    const killChild = () => child?.kill('SIGKILL');

    async function format(): Promise<void> {
      if (existsSync(join(data_dir, `node-${node.id}`, 'meta.properties'))) return;
      const scram =
        password === undefined ? [] : ['--add-scram', `SCRAM-SHA-512=[name=${user},password=${password}]`];
      const tool = ['kafka.tools.StorageTool', 'format', '-t', plan.cluster_id, '-c', properties, ...scram];
      const formatter = spawn('java', [...jvm, '-cp', classpath, ...tool]);
      let said = '';
      for (const stream of [formatter.stdout, formatter.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          said += chunk.toString();
        });
      }
      const [code] = await once(formatter, 'close');
      if (code !== 0) throw new Error(`the storage of broker ${node.id} could not be formatted:\n${said}`);
    }

    async function start(): Promise<void> {
      if (running()) return;
      writeFileSync(properties, propertiesOf(plan, node, data_dir), { mode: 0o600 });
      await format();
      appendFileSync(log, '');
      const logged = statSync(log).size;
      const output = openSync(log, 'a');
      const started = spawn('java', [...jvm, '-cp', classpath, 'kafka.Kafka', properties], {
        stdio: ['ignore', output, output],
      });
      child = started;
      process.once('exit', killChild);
      await waitTillReady(() => {
        if (running()) return;
        const said = readFileSync(log).subarray(logged).toString();
        throw new Error(`broker ${node.id} ended (${started.exitCode ?? started.signalCode}):\n${said}`);
      });
    }

    /** Until the broker answers clients and the controllers count it in. */
    async function waitTillReady(assertRunning: () => void): Promise<void> {
      const deadline = Date.now() + 120_000;
      for (;;) {
        assertRunning();
        const admin = new Admin({
          clientId: 'kafka-cluster',
          bootstrapBrokers: [`127.0.0.1:${node.client}`],
          retries: 0,
          ...securityOf(credentials),
        });
        // Connections that fail are told by events too, which would end the process if nobody listened.
        admin.on('error', () => {});
        try {
          const { brokers } = await admin.metadata({ topics: [] });
          if (brokers.has(node.id)) return;
        } catch (error) {
          if (Date.now() > deadline) {
            throw new Error(`broker ${node.id} did not answer within 120 s; see ${log}`, { cause: error });
          }
        } finally {
          await admin.close();
        }
        await sleep(200);
      }
    }

    async function end(signal: NodeJS.Signals): Promise<void> {
      const ending = child;
      if (ending === undefined || !running()) return;
      const exited = once(ending, 'exit');
      ending.kill(signal);
      const limit = setTimeout(() => ending.kill('SIGKILL'), 30_000);
      await exited;
      clearTimeout(limit);
      process.off('exit', killChild);
    }

    return {
      id: node.id,
      address: `127.0.0.1:${node.client}`,
      pid: () => (running() ? child?.pid : undefined),
      kill: () => end('SIGKILL'),
      stop: () => end('SIGTERM'),
      start,
    };
  }

  const brokers = await Promise.all(plan.nodes.map(openBroker));
  // All at once: none is ready before a majority of the controllers runs.
  const stop = async () => {
    await Promise.all(brokers.map((broker) => broker.stop()));
  };
  onProgress(`starting Kafka: ${brokers.length} broker(s) in ${data_dir}`);
  const outcomes = await Promise.allSettled(brokers.map((broker) => broker.start()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(brokers.map((broker) => broker.kill()));
    throw failed.reason;
  }
  for (const { id, address, pid } of brokers)
    onProgress(`broker ${id} is ready at ${address} (pid ${pid()})`);
  return { brokers, addresses: brokers.map(({ address }) => address).join(), credentials, stop };
}

/** What a client of the library needs to come in. */
function securityOf(credentials: Credentials | undefined) {
  if (credentials === undefined) return {};
  const { ca_file, user: username, password } = credentials;
  return {
    tls: { ca: readFileSync(ca_file, 'utf8') },
    sasl: { mechanism: 'SCRAM-SHA-512' as const, username, password },
  };
}

/** Removes what a stopped cluster stored. */
export function removeKafka(data_dir: string): void {
  rmSync(data_dir, { recursive: true, force: true });
}
