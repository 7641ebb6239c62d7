/**
 * What every client of Kafka shares: where the brokers are, how we come in, how long we wait. What is found wrong in the
 * library, and how each thing is got round, is in docs/decisions/0019-kafka-client.md.
 */
import { readFileSync } from 'node:fs';
import type { BaseOptions } from '@platformatic/kafka';
import { type Config, StartupError } from '../config.ts';

export interface KafkaSettings {
  /** `host:port`. */
  brokers: readonly string[];
  /** Undefined: no TLS. Without `ca`: the authorities that Node knows. */
  tls: { ca: string | undefined } | undefined;
  sasl:
    | { mechanism: NonNullable<Config['kafka_sasl_mechanism']>; user: string; password: string }
    | undefined;
  /** Before the name of every topic and group. */
  prefix: string;
  /** Of topics that we create. */
  partitions: number;
  replication: number;
  /** How an event is laid into a message, after the CloudEvents Kafka protocol binding. */
  content_mode: 'binary' | 'structured';
}

/** Undefined: events are not carried by Kafka. */
export function kafkaSettingsOf(config: Config): KafkaSettings | undefined {
  if (config.kafka_brokers.length === 0) return undefined;
  const { kafka_sasl_mechanism: mechanism, kafka_sasl_user: user, kafka_sasl_password: password } = config;
  if (mechanism !== undefined && (user === undefined || password === undefined)) {
    throw new StartupError('KAFKA_SASL_MECHANISM needs KAFKA_SASL_USER and KAFKA_SASL_PASSWORD');
  }
  return {
    brokers: config.kafka_brokers,
    tls:
      config.kafka_tls || config.kafka_tls_ca_file !== undefined
        ? { ca: config.kafka_tls_ca_file === undefined ? undefined : readCa(config.kafka_tls_ca_file) }
        : undefined,
    sasl:
      mechanism === undefined || user === undefined || password === undefined
        ? undefined
        : { mechanism, user, password },
    prefix: config.kafka_topic_prefix,
    partitions: config.kafka_topic_partitions,
    replication: config.kafka_topic_replication,
    content_mode: config.kafka_content_mode,
  };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new StartupError(`KAFKA_TLS_CA_FILE is ${JSON.stringify(path)}, which cannot be read: ${reason}`);
  }
}

const retry_delay_ms = 250;

/**
 * @param patience_ms how long an operation is tried again while brokers are away or elect a leader
 */
export function clientOptions(settings: KafkaSettings, patience_ms: number): BaseOptions {
  return {
    clientId: 'financialapi',
    bootstrapBrokers: [...settings.brokers],
    ...(settings.tls === undefined
      ? {}
      : { tls: settings.tls.ca === undefined ? {} : { ca: settings.tls.ca } }),
    ...(settings.sasl === undefined
      ? {}
      : {
          sasl: {
            mechanism: settings.sasl.mechanism,
            username: settings.sasl.user,
            password: settings.sasl.password,
          },
        }),
    // A broker that hangs is given up soon, so that another can be asked.
    connectTimeout: 3_000,
    requestTimeout: 10_000,
    timeout: 5_000,
    retries: Math.max(2, Math.ceil(patience_ms / retry_delay_ms)),
    retryDelay: retry_delay_ms,
    metadataMaxAge: 30_000,
    autocreateTopics: false,
  };
}
