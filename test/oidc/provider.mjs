// A real, certified OpenID provider for tests: client credentials, JWT access
// tokens (RFC 9068), claims per client, key rotation. A token request may name
// its audience: resource=https://resource.test/AUDIENCE.
//
//   node provider.mjs '{"audience":"sallyport","ttl":300,"algorithm":"RS256","port":0,"clients":[
//     {"id":"reporting-agent","secret":"s3cret","claims":{"purpose":"reporting"}}]}'
//
// It prints one line of JSON when it is ready: {"url":"http://127.0.0.1:PORT"}.
// A line on standard input is a control request, answered by one line of JSON:
//   rotate   a new key signs; the old keys stay published
//   retire   only the newest key stays published
// It ends when standard input ends, so that it never outlives its test.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPair, exportJWK } from 'jose';
import { Provider } from 'oidc-provider';

// Standard output is for answers only; the provider prints its notices there.
console.info = console.error;
console.log = console.error;

const options = {
  audience: 'sallyport', ttl: 300, algorithm: 'RS256', port: 0, clients: [],
  ...JSON.parse(process.argv[2] ?? '{}'),
};
if (options.ttl < 1 || options.clients.length === 0) throw new Error('ttl and clients are required');

// Resource indicators must be absolute URIs (RFC 8707); audiences need not be.
const resources = 'https://resource.test/';
const keys = []; // newest first
let made = 0;
async function rotate() {
  const { privateKey } = await generateKeyPair(options.algorithm, { extractable: true });
  keys.unshift({ ...(await exportJWK(privateKey)), kid: `key-${++made}`, alg: options.algorithm, use: 'sig' });
}

// The provider reads its keys once, so a change of keys is a new provider behind
// the same address. Clients are static and tokens are self-contained: nothing is lost.
let handler = (req, res) => res.writeHead(503).end();
function restart(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: options.clients.map(({ id, secret, claims }) => ({
      client_id: id, client_secret: secret, claims: claims ?? {},
      grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
      id_token_signed_response_alg: options.algorithm,
    })),
    extraClientMetadata: { properties: ['claims'] },
    extraTokenClaims: (ctx, token) => token.client?.claims,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resources + encodeURIComponent(options.audience),
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'db', audience: decodeURIComponent(resource.slice(resources.length)), accessTokenTTL: options.ttl,
          accessTokenFormat: 'jwt', jwt: { sign: { alg: options.algorithm, kid: keys[0].kid } },
        }),
      },
    },
  });
  handler = provider.callback();
}

const server = createServer((req, res) => handler(req, res));
await rotate();
server.listen(options.port, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  restart(issuer);
  process.stdout.write(`${JSON.stringify({ url: issuer })}\n`);
  const control = createInterface({ input: process.stdin });
  control.on('line', async (line) => {
    if (line === 'rotate') await rotate();
    else if (line === 'retire') keys.splice(1);
    else { process.stdout.write('{"error":"unknown request"}\n'); return; }
    restart(issuer);
    process.stdout.write(`${JSON.stringify({ keys: keys.map((k) => k.kid) })}\n`);
  });
  control.on('close', () => process.exit(0));
});
