// What the test's page runs: OpenFeature's web SDK with a provider, and what it saw. The test drives it by window.start and reads window.seen.
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
import { FlagdWebProvider } from '@openfeature/flagd-web-provider';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';

const seen = { answers: [], changed: [], events: [] };
window.seen = seen;

// Notes which answers the server gave to which question.
const fetching = async (request, init) => {
  const asked = new Request(request, init);
  const answer = await fetch(asked.clone());
  seen.answers.push({ status: answer.status, asked: asked.headers.get('If-None-Match'), tag: answer.headers.get('ETag') });
  return answer;
};

const providers = {
  ofrep: (at) => new OFREPWebProvider({ baseUrl: `http://${at}`, cacheMode: 'disabled', fetchImplementation: fetching }),
  polling: (at) =>
    new OFREPWebProvider({ baseUrl: `http://${at}`, cacheMode: 'disabled', changeDetection: 'polling', pollInterval: 100, fetchImplementation: fetching }),
  flagd: (at) => new FlagdWebProvider({ host: at.split(':')[0], port: Number(at.split(':')[1]), tls: false }),
};

window.start = async (kind, at) => {
  await OpenFeature.setContext({ targetingKey: 'bob', email: 'bob@example.org' });
  const client = OpenFeature.getClient();
  client.addHandler(ProviderEvents.ConfigurationChanged, (d) => seen.changed.push(...(d?.flagsChanged ?? ['?'])));
  client.addHandler(ProviderEvents.Error, (d) => seen.events.push(`error: ${d?.message}`));
  await OpenFeature.setProviderAndWait(providers[kind](at));
  return read();
};

const read = () => {
  const client = OpenFeature.getClient();
  return {
    on: client.getBooleanValue('on', false),
    text: client.getStringValue('text', ''),
    whole: client.getNumberValue('whole', 0),
    part: client.getNumberValue('part', 0),
    object: client.getObjectValue('object', {}),
    none: client.getBooleanDetails('none', true).errorCode,
    other: client.getBooleanDetails('text', true).errorCode,
    code: client.getBooleanValue('code', true),
  };
};
window.read = read;

window.become = async (context) => {
  await OpenFeature.setContext(context);
  return read();
};
