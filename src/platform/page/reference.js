// Starts Scalar with everything off that would ask another host.
const place = document.getElementById('reference');
const { token } = place.dataset;

globalThis.Scalar.createApiReference(place, {
  url: '/openapi.json',
  baseServerURL: location.origin,
  servers: [{ url: location.origin }],
  telemetry: false,
  withDefaultFonts: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  persistAuth: false,
  agent: { disabled: true, hideAddApi: true },
  mcp: { disabled: true },
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
  // Without a key of its own, a request goes with the browser's log-in; an empty Authorization would hide that.
  onRequestBuilt: ({ request }) => {
    if (/^bearer\s*$/i.test(request.headers.get('authorization') ?? ''))
      request.headers.delete('authorization');
  },
  authentication: {
    preferredSecurityScheme: 'key',
    securitySchemes: { key: { token } },
  },
});
