import assert from 'node:assert/strict';
import { DISTROS, serviceByName } from '../../fleet/catalog.ts';
import { drawHostname, drawServices, seededRandom } from '../../fleet/draw.ts';
import { assertNamesApart, containerName, serviceContainerName } from '../../fleet/names.ts';
import { assertRefused, CONTEXT, GENERAL, plan } from '../support/fixtures/planning.ts';

const configs = (sections: string) => plan(GENERAL + sections).deckies.map(({ config }) => config);

describe('deckies', () => {
  it('builds the worked example A of the contract', () => {
    const text = `[general]\nnet = 192.168.50.0/24\ngw = 192.168.50.1\ninterface = eth0
[file-01]\nip = 192.168.50.20\nservices = ssh, ftp\nnmap_os = bsd\nmutate_interval = 45
[file-01.ssh]\npassword = letmein\nhostname = files.example.lan
[dc]\narchetype = windows-server\namount = 2\n[dc.rdp]\nnla = true
[printer-1]\narchetype = printer\nservices = snmp\n`;
    const context = { ...CONTEXT, host_ip: '192.168.50.10' };
    const rows = plan(text, { context }).deckies.map(({ config }) => config);
    assert.deepEqual(
      rows.map(({ name, ip, services, distro, nmap_os }) => [name, ip, services.join(), distro, nmap_os]),
      [
        ['file-01', '192.168.50.20', 'ssh,ftp', 'debian', 'bsd'],
        ['dc-01', '192.168.50.2', 'smb,rdp,ldap', 'ubuntu22', 'windows'],
        ['dc-02', '192.168.50.3', 'smb,rdp,ldap', 'debian', 'windows'],
        ['printer-1', '192.168.50.4', 'snmp', 'debian', 'embedded'],
      ],
    );
    assert.deepEqual(rows[0]?.service_config, { ssh: { password: 'letmein', hostname: 'files.example.lan' } });
    assert.deepEqual(rows[1]?.service_config, { rdp: { nla: 'true' } });
    assert.equal(rows[0]?.mutate_interval, 45);
  });

  // proof: gap-c20
  it('gap C20: refuses an address of the gateway, host, network or broadcast, and one that is wanted twice', () => {
    const refused: [ip: string, reason: RegExp][] = [
      ['10.77.0.1', /is the gateway's/],
      ['10.77.0.2', /is this host's own/],
      ['10.77.0.0', /is the address of the network itself/],
      ['10.77.0.255', /is the broadcast address/],
      ['10.78.0.9', /lies outside the subnet 10\.77\.0\.0\/24/],
    ];
    for (const [ip, reason] of refused)
      assertRefused(() => configs(`[a]\nservices=ssh\nip=${ip}\n`), 'InvalidAddress', reason);
    const twice = '[a]\nservices=ssh\nip=10.77.0.9\n[b]\nservices=ssh\nip=10.77.0.9\n';
    assertRefused(() => configs(twice), 'InvalidAddress', /wanted by \[a\] too/);
  });

  it('refuses an unknown nmap_os and lists the known', () => {
    assertRefused(() => configs('[a]\nnmap_os=amiga\n'), 'InvalidDecky', /'amiga' is unknown\. Available: bsd, cisco/);
  });

  it('refuses settings of no sense before anything runs (gap C19)', () => {
    const text = '[a]\nservices=rdp\n[a.rdp]\nnla=perhaps\n';
    assertRefused(() => configs(text), 'InvalidDecky', '[a.rdp] nla= must be true or false.');
  });

  it('gives a custom service to every decky that names it, and lists it among the available', () => {
    const custom = '[custom-honey]\nbinary=h:1\nexec=/bin/h\nports=80\n';
    const { deckies } = plan(`${GENERAL}[a]\nservices=honey,ssh,honey\n[b]\nservices=ssh\n${custom}`);
    assert.deepEqual(deckies[0]?.custom_services, [{ name: 'honey', image: 'h:1', exec_cmd: '/bin/h', ports: [80] }]);
    assert.deepEqual(deckies[1]?.custom_services, []);
    assertRefused(
      () => plan(`${GENERAL}[a]\nservices=money\n${custom}`),
      'InvalidDecky',
      /^Unknown service\(s\) in \[a\]: \['money'\]\. Available: .*'ftp', 'honey', 'http'/,
    );
  });

  it('draws what the INI leaves open from the seed alone', () => {
    const text = `${GENERAL}[a]\namount=20\n`;
    assert.deepEqual(plan(text, { seed: 'one' }), plan(text, { seed: 'one' }));
    assert.notDeepEqual(plan(text, { seed: 'one' }), plan(text, { seed: 'two' }));
  });
});

describe('drawing', () => {
  it('writes hostnames in the style of the distro', () => {
    const styles: Readonly<Record<string, RegExp>> = {
      generic: /^SRV-[A-Z]+-[1-9]\d$/,
      rhel: /^[a-z]+[1-9]\d\.localdomain$/,
      minimal: /^[a-z]+-[1-9]\d$/,
      rolling: /^[a-z]+-[a-z]+$/,
    };
    const random = seededRandom('hostnames');
    for (const distro of DISTROS)
      for (let round = 0; round < 200; round += 1)
        assert.match(drawHostname(distro, random), styles[distro.hostname_style] ?? /^$/);
  });

  it('draws one to three distinct services that share no port', () => {
    const random = seededRandom('services');
    const counts = new Set<number>();
    for (let round = 0; round < 500; round += 1) {
      const drawn = drawServices(random);
      const ports = drawn.flatMap((service) => serviceByName(service)?.default_ports ?? []);
      assert.equal(new Set(ports).size, ports.length, drawn.join());
      assert.equal(new Set(drawn).size, drawn.length);
      counts.add(drawn.length);
    }
    assert.deepEqual([...counts].sort(), [1, 2, 3]);
  });
});

describe('container names', () => {
  it('are the decky, and its services with dashes', () => {
    assert.equal(containerName('web_1'), 'web_1');
    assert.equal(serviceContainerName('web', 'docker_api'), 'web-docker-api');
  });

  it('gap C17: the status probe finds smtp_relay', () => {
    assert.equal(serviceContainerName('mq', 'smtp_relay'), 'mq-smtp-relay');
  });

  it('begin with decky- where Docker refuses the name', () => {
    for (const name of ['a', '-x', '_x', '.x']) assert.equal(containerName(name), `decky-${name}`);
    assert.equal(serviceContainerName('a', 'ssh'), 'a-ssh');
    assert.equal(serviceContainerName('-x', 'ssh'), 'decky--x-ssh');
  });

  it('are refused where two deckies would make the same', () => {
    const decky = (name: string, ...services: string[]) => ({ name, services });
    const clash = /would both make the/;
    assertRefused(() => assertNamesApart([decky('a'), decky('decky-a')]), 'InvalidDecky', clash);
    assertRefused(() => assertNamesApart([decky('web', 'ssh'), decky('web-ssh')]), 'InvalidDecky', clash);
    assertRefused(() => assertNamesApart([decky('web-ssh')], [decky('web', 'ssh')]), 'InvalidDecky', clash);
    // The containers differ by a dash, the compose keys do not.
    assertRefused(
      () => assertNamesApart([decky('mq', 'smtp_relay'), decky('mq-smtp_relay')]),
      'InvalidDecky',
      /the key/,
    );
    assertRefused(() => assertNamesApart([decky('a-b', 'c'), decky('a', 'b-c')]), 'InvalidDecky', clash);
    assertRefused(() => assertNamesApart([decky('a', 'smtp_relay', 'smtp-relay')]), 'InvalidDecky', clash);
    // What is there already is not this request's affair, and a service may be named twice.
    assertNamesApart([decky('new', 'ssh', 'ssh')], [decky('web', 'ssh'), decky('web-ssh')]);
  });
});
