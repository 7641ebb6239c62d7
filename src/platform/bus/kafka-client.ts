/**
 * What every client of Kafka shares: where the brokers are, how we come in, how long we wait. What is found wrong in the
 * library, and how each thing is got round, is in docs/decisions/0019-kafka-client.md.
 */
import type { BaseOptions } from '@platformatic/kafka';
import type { Config } from '../config.ts';

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
