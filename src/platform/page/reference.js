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
  authentication: {
    preferredSecurityScheme: 'key',
    securitySchemes: { key: { token } },
  },
});
