/**
 * Load on a server, in a process of its own: so many connections, each sending its next request when the last one was
 * answered. Reads a `Load` as JSON from its first argument and prints a `LoadResult`.
 *
 * It writes HTTP/1.1 onto sockets by hand, against the rule to prefer a library: client, server and database share the
 * processors, and autocannon or undici take as much of them for a request as the server does for its answer, so that
 * the figure would be the client's.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createHistogram } from 'node:perf_hooks';

export interface Load {
  port: number;
  key: string;
  connections: number;
  seconds: number;
  /** File with a JSON array of account ids. */
  accounts_file: string;
  /** `hot`: every transfer debits the first account. */
  pattern: 'uniform' | 'hot';
  /** 1: a transfer a request; more: batches of so many. */
  batch: number;
}

export interface LoadResult {
  transfers_per_s: number;
  requests: number;
  p50_ms: number;
  p99_ms: number;
  /** Answers other than success, by status. */
  failures: Record<string, number>;
}

const load: Load = JSON.parse(process.argv[2] ?? '{}');
const accounts: string[] = JSON.parse(readFileSync(load.accounts_file, 'utf8'));
const latency = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
const failures: Record<string, number> = {};
let requests = 0;
let measuring = false;
let stopping = false;
const run = randomBytes(6).toString('hex');
let sent = 0;

function pick(): string {
  return accounts[Math.floor(Math.random() * accounts.length)] ?? '';
}

function transfer(): string {
  const debit = load.pattern === 'hot' ? (accounts[0] ?? '') : pick();
  let credit = pick();
  while (credit === debit) credit = pick();
  return `{"debit_account_id":"${debit}","credit_account_id":"${credit}","amount":{"amount":"1.00","currency":"BRL"}}`;
}

const path = load.batch === 1 ? '/api/v2/transfers' : '/api/v2/transfers/batch';
const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${load.key}\r\nContent-Type: application/json\r\nIdempotency-Key: ${run}-`;

function nextRequest(): string {
  const body =
    load.batch === 1
      ? transfer()
      : `{"transfers":[${Array.from({ length: load.batch }, transfer).join(',')}]}`;
  sent += 1;
  return `${head}${sent}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

const expected = load.batch === 1 ? 201 : 200;

/** One connection until the load stops. Answers have a Content-Length: the server knows its bodies whole. */
function client(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: load.port, host: '127.0.0.1', noDelay: true });
    let text = '';
    let began = 0;
    const send = () => {
      began = performance.now();
      socket.write(nextRequest());
    };
    socket.setEncoding('latin1');
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
      if (length === undefined) {
        reject(new Error(`an answer without Content-Length: ${text.slice(0, end)}`));
        return;
      }
      if (text.length < end + 4 + Number(length)) return;
      const status = Number(text.slice(9, 12));
      if (measuring) {
        requests += 1;
        latency.record(Math.max(1, Math.round((performance.now() - began) * 1_000)));
        if (status !== expected) failures[status] = (failures[status] ?? 0) + 1;
      }
      text = '';
      if (stopping) {
        socket.end();
        resolve();
      } else send();
    });
  });
}

const WARM_UP_MS = 2_000;
const clients = Promise.all(Array.from({ length: load.connections }, client));
await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
measuring = true;
const began = performance.now();
await new Promise((resolve) => setTimeout(resolve, load.seconds * 1_000));
measuring = false;
const seconds = (performance.now() - began) / 1_000;
stopping = true;
await clients;
const result: LoadResult = {
  transfers_per_s: (requests * load.batch) / seconds,
  requests,
  p50_ms: latency.percentile(50) / 1_000,
  p99_ms: latency.percentile(99) / 1_000,
  failures,
};
console.log(JSON.stringify(result));
