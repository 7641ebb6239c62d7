/** Whether a process says that it is ready, at `/readyz`. */
import { Agent, request } from 'undici';

const TIMEOUT_MS = 1_000;

export interface Probe {
  isReady(instance: string): Promise<boolean>;
  stop(): Promise<void>;
}

export function openProbe(): Probe {
  // A connection is kept from one look to the next.
  const agent = new Agent({ connect: { timeout: TIMEOUT_MS }, connections: 1, keepAliveTimeout: 10_000 });
  return {
    async isReady(instance) {
      try {
        const { statusCode, body } = await request(`${instance}/readyz`, {
          dispatcher: agent,
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        await body.dump();
        return statusCode === 200;
      } catch {
        // Whatever the reason is, it cannot be asked now.
        return false;
      }
    },
    stop: () => agent.destroy(),
  };
}
