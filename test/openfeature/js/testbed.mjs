// OpenFeature's JavaScript server SDK with flagd's provider, driven by lines of JSON: each that is read is a question and has one answer, and what
// handlers are called with is written in between.
import { createInterface } from 'node:readline';
import { OpenFeature, ProviderEvents, ServerProviderStatus } from '@openfeature/server-sdk';
import { FlagdProvider } from '@openfeature/flagd-provider';

const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
console.log = console.info = console.warn = console.error = console.debug = () => {}; // stdout is for answers

let n = 0;
let domain;
let client;
const numbers = ['port', 'deadlineMs', 'retryBackoffMs', 'retryBackoffMaxMs', 'retryGracePeriod'];
const events = { ready: ProviderEvents.Ready, error: ProviderEvents.Error, stale: ProviderEvents.Stale, change: ProviderEvents.ConfigurationChanged };

const optionsOf = (given) => {
  const options = { contextEnricher: (context) => context ?? {} };
  for (const [name, value] of Object.entries(given)) {
    switch (name) {
      case 'resolver':
        options.resolverType = value === 'rpc' ? 'rpc' : 'in-process';
        break;
      case 'certPath':
        options.tls = true;
        options.certPath = value;
        break;
      case 'fatalStatusCodes':
        options[name] = value.split(',');
        break;
      case 'targetUri': {
        // It has another way to say the same: where to connect to, and the name to ask for.
        const [, host, port, authority] = /^envoy:\/\/([^:]+):(\d+)\/(.+)$/.exec(value);
        Object.assign(options, { host, port: Number(port), defaultAuthority: authority });
        break;
      }
      default:
        options[name] = numbers.includes(name) ? Number(value) : value;
    }
  }
  return options;
};

const ops = {
  open: (given) => {
    domain = `testbed-${++n}`;
    client = OpenFeature.getClient(domain);
    OpenFeature.setProvider(domain, new FlagdProvider(optionsOf(given)));
  },
  listen: (kind) => {
    const mine = domain;
    client.addHandler(events[kind], (details) => {
      if (mine === domain) {
        write({ event: kind, flags: details?.flagsChanged });
      }
    });
  },
  evaluate: async ({ kind, key, fallback, context }) => {
    const method = { Boolean: 'getBooleanDetails', String: 'getStringDetails', Integer: 'getNumberDetails', Float: 'getNumberDetails', Object: 'getObjectDetails' }[kind];
    const d = await client[method](key, fallback, context);
    return { value: d.value, variant: d.variant, reason: d.reason, errorCode: d.errorCode, metadata: d.flagMetadata };
  },
  state: () => ({ [ServerProviderStatus.FATAL]: 'FATAL', [ServerProviderStatus.ERROR]: 'ERROR' })[client.providerStatus] ?? client.providerStatus,
  close: async () => {
    domain = undefined;
    await OpenFeature.clearProviders();
    OpenFeature.clearHandlers();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, with: given } = JSON.parse(line);
  try {
    write({ answer: { ok: (await ops[op](given)) ?? null } });
  } catch (e) {
    write({ answer: { error: String(e?.stack ?? e) || 'an error without words' } });
  }
}
process.exit(0); // gRPC's timers would keep it
