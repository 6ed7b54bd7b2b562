import assert from 'node:assert/strict';
import { composeDocument, type ImageSources, missingImage, resolveImages } from '../../fleet/compose.ts';
import type { DesiredDecky } from '../../fleet/config.ts';
import { assertRefused, GENERAL, plan } from '../support/fixtures/planning.ts';

const OPTIONS = { networkName: 'decnet_lan', templatesRoot: '/templates', artifactsRoot: '/artifacts' };
const deckies = (sections: string): readonly DesiredDecky[] => plan(GENERAL + sections).deckies;
const compose = (sections: string) => composeDocument(deckies(sections), OPTIONS);
const HONEY = '[custom-honey_pot]\nbinary=example/honey:1\nexec=/bin/honey  -p 8080\nports=8080\n';

describe('compose document', () => {
  it('keeps the network key, and names the real network where it is another', () => {
    const document = composeDocument(deckies('[web]\nservices=ftp\n'), { ...OPTIONS, networkName: 'second_lan' });
    assert.deepEqual(document.networks, { decnet_lan: { external: true, name: 'second_lan' } });
    assert.deepEqual(document.services.web?.networks, { decnet_lan: { ipv4_address: '10.77.0.3' } });
    assert.deepEqual(compose('[web]\nservices=ftp\n').networks, { decnet_lan: { external: true } });
  });

  // proof: gap-c17
  it('gap C17: names the container of smtp_relay as the status probe looks for it, on the context of smtp', () => {
    const { services } = compose('[mq]\nservices=smtp_relay\n');
    assert.equal(services['mq-smtp_relay']?.container_name, 'mq-smtp-relay');
    assert.equal(services['mq-smtp_relay']?.build?.context, '/templates/smtp');
    assert.deepEqual(services['mq-smtp_relay']?.volumes, ['/artifacts/mq/smtp:/var/spool/mqueue:rw']);
  });

  it('gap C19: carries settings with their types', () => {
    const { services } = compose('[w]\nservices=rdp,http\n[w.rdp]\nnla=false\n[w.http]\ncustom_body=b64:aGk=\n');
    assert.equal(services['w-rdp']?.environment?.RDP_ENABLE_NLA, undefined);
    assert.equal(services['w-http']?.environment?.CUSTOM_BODY, 'hi');
  });

  it('runs a custom service beside the others', () => {
    const { services } = compose(`[box]\nservices=honey_pot,ftp\n${HONEY}`);
    const { labels, logging, ...honey } = services['box-honey_pot'] ?? assert.fail();
    assert.deepEqual(honey, {
      image: 'example/honey:1',
      container_name: 'box-honey-pot',
      command: ['/bin/honey', '-p', '8080'],
      restart: 'unless-stopped',
      environment: { NODE_NAME: 'box', HOSTNAME: services.box?.hostname },
      network_mode: 'service:box',
      depends_on: ['box'],
    });
    assert.equal(labels?.['decnet.fleet.service_name'], 'honey_pot');
    assert.equal(logging?.driver, 'json-file');
    assert.equal(
      compose(`[box]\nservices=honey_pot\n${HONEY.replace(/exec.*\n/, '')}`).services['box-honey_pot']?.command,
      undefined,
    );
  });

  it('names the container of a decky that Docker would refuse, and keeps its key', () => {
    const { services } = compose('[a]\nservices=ssh\n');
    assert.equal(services.a?.container_name, 'decky-a');
    assert.equal(services['a-ssh']?.network_mode, 'service:a');
  });

  it('mounts mail only where it was given, with the variable that says where', () => {
    const bare = compose('[m]\nservices=imap\n').services['m-imap'];
    assert.equal(bare?.volumes, undefined);
    assert.equal(bare?.environment?.IMAP_EMAIL_SEED, undefined);
    const seeded = compose('[m]\nservices=imap\n[m.imap]\nemail_seed=/srv/mail\n').services['m-imap'];
    assert.deepEqual(seeded?.volumes, ['/srv/mail:/var/spool/decnet-emails/seed:ro']);
    assert.equal(seeded?.environment?.IMAP_EMAIL_SEED, '/var/spool/decnet-emails/seed');
  });

  it('fixes the base image of conpot', () => {
    const args = compose('[i]\nservices=conpot\n').services['i-conpot']?.build?.args;
    assert.match(args?.BASE_IMAGE ?? '', /^honeynet\/conpot/);
  });

  it('makes one container of a service that is named twice, none of a singleton, and refuses an unknown one', () => {
    const [decky] = deckies('[a]\nservices=ssh\n');
    assert.ok(decky);
    const withServices = (...services: string[]) => [{ ...decky, config: { ...decky.config, services } }];
    const keys = (...services: string[]) => Object.keys(composeDocument(withServices(...services), OPTIONS).services);
    assert.deepEqual(keys('ssh', 'ftp', 'ssh', 'sniffer'), ['a', 'a-ssh', 'a-ftp']);
    assertRefused(() => keys('teleport'), 'InvalidDecky', /'teleport'/);
  });
});

const BUILTIN: ImageSources = {
  mode: 'builtin',
  baseImage: 'deckhand/base:1',
  serviceImage: (service) => (service === 'vnc' ? undefined : `deckhand/${service}:1`),
  operatorContext: (service) =>
    service === 'mysql' ? { context: '/mine/mysql', image: 'deckhand/own-mysql:2' } : undefined,
};

describe('resolving images', () => {
  const document = compose(`[box]\nservices=ssh,mysql,honey_pot,vnc\n[z]\nservices=ftp\n${HONEY}`);

  it('splits by decky, base first, services in order', () => {
    const { deckies: specs, document: resolved } = resolveImages(document, BUILTIN);
    assert.deepEqual(
      specs.map(({ decky, keys }) => [decky, ...keys]),
      [
        ['box', 'box', 'box-ssh', 'box-mysql', 'box-honey_pot', 'box-vnc'],
        ['z', 'z', 'z-ftp'],
      ],
    );
    assert.deepEqual(Object.keys(resolved.services), Object.keys(document.services));
    assert.deepEqual(specs[0]?.services['box-ssh'], resolved.services['box-ssh']);
  });

  it('builtin: stands in for bases and services, without mounts, and keeps what the operator brings', () => {
    const { services } = resolveImages(document, BUILTIN).document;
    assert.equal(services.box?.image, 'deckhand/base:1');
    assert.equal(services['box-ssh']?.image, 'deckhand/ssh:1');
    assert.equal(services['box-ssh']?.build, undefined);
    assert.equal(services['box-ssh']?.volumes, undefined);
    assert.equal(services['box-mysql']?.image, 'deckhand/own-mysql:2');
    assert.equal(services['box-mysql']?.build?.context, '/mine/mysql');
    assert.deepEqual(services['box-mysql']?.build?.args, document.services['box-mysql']?.build?.args);
    assert.deepEqual(services['box-honey_pot'], document.services['box-honey_pot']);
  });

  it('catalogue: keeps bases, needs contexts, and gives a service without one an image that no registry serves', () => {
    const { services } = resolveImages(document, { ...BUILTIN, mode: 'catalogue' }).document;
    assert.equal(services.box?.image, document.services.box?.image);
    assert.equal(services['box-mysql']?.image, 'deckhand/own-mysql:2');
    assert.equal(services['box-ssh']?.image, 'deckhand.invalid/ssh:no-build-context');
    assert.equal(resolveImages(document, BUILTIN).document.services['box-vnc']?.image, missingImage('vnc'));
  });

  it('keeps the mounts of an operator’s context, and a base image from outside the catalogue', () => {
    const own = { ...BUILTIN, operatorContext: () => ({ context: '/mine', image: 'mine:1' }) };
    assert.deepEqual(
      resolveImages(document, own).document.services['box-ssh']?.volumes,
      document.services['box-ssh']?.volumes,
    );
    const foreign = {
      ...document,
      services: { box: { ...document.services.box, container_name: 'box', image: 'own:1' } },
    };
    assert.equal(resolveImages(foreign, BUILTIN).document.services.box?.image, 'own:1');
  });

  it('changes nothing in the pure document', () => {
    const before = structuredClone(document);
    resolveImages(document, BUILTIN);
    assert.deepEqual(document, before);
  });
});
