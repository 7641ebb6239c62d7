import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  base: '/web/',
  plugins: [react()],
  // The server puts a new one into each answer (src/platform/web.ts).
  html: { cspNonce: 'CSP-NONCE' },
  build: {
    rolldownOptions: { input: { console: here('console/index.html'), portal: here('portal/index.html') } },
    // A page loads what it needs when it is opened; no inline data, which the policy of the server would have to allow.
    assetsInlineLimit: 0,
    emptyOutDir: true,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_000,
  },
});
