import assert from 'node:assert/strict';
import { ask, Talk, withDecoy } from '../support/docker/decoys.ts';

/** A DNS query for one name. */
function query(name: string, type: number, dnsClass = 1): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, dnsClass]);
}
const A = 1;
const TXT = 16;
const rcode = (answer: Buffer | undefined): number => (answer?.[3] ?? 255) & 15;
const answers = (answer: Buffer | undefined): number => answer?.readUInt16BE(6) ?? -1;
/** How long to wait for an answer that must not come. */
const SILENCE_MS = 300;

function snmpGet(community: string, version = 1): Buffer {
  const name = Buffer.from('06082b06010201010500', 'hex');
  const binding = Buffer.concat([Buffer.of(0x30, name.length + 2), name, Buffer.of(5, 0)]);
  const list = Buffer.concat([Buffer.of(0x30, binding.length), binding]);
  const unit = Buffer.concat([Buffer.from('020107020100020100', 'hex'), list]);
  const body = Buffer.concat([
    Buffer.of(2, 1, version, 4, community.length),
    Buffer.from(community),
    Buffer.of(0xa0, unit.length),
    unit,
  ]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

describe('decoys: protocols of datagrams', function () {
  this.timeout(30_000);

  it('DNS shows DNS_BIND_VERSION, answers for its zone, and refuses the rest', () =>
    withDecoy(
      'dns',
      { DNS_BIND_VERSION: '9.18.1-test', DNS_DOMAIN: 'corp.example', DNS_EXTRA_RECORDS: 'vpn A 192.0.2.9' },
      async (decoy) => {
        const port = decoy.port(53, 'udp');
        const version = await ask(port, query('version.bind', TXT, 3));
        assert.equal(version?.readUInt16BE(0), 0x1234);
        assert.match(version?.toString('latin1') ?? '', /9\.18\.1-test$/);
        const vpn = await ask(port, query('vpn.corp.example', A));
        assert.deepEqual([rcode(vpn), answers(vpn), vpn?.subarray(-4)], [0, 1, Buffer.from([192, 0, 2, 9])]);
        assert.equal(rcode(await ask(port, query('nothing.corp.example', A))), 3);
        const foreign = await ask(port, query('example.net', A));
        assert.deepEqual([rcode(foreign), answers(foreign)], [5, 0]);
        assert.equal(rcode(await ask(port, Buffer.concat([query('x.y', A).subarray(0, 12), Buffer.of(63, 1, 2)]))), 1);
      },
    ));

  it('DNS over TCP gives the same, with the length in front', () =>
    withDecoy('dns', { DNS_DOMAIN: 'corp.example' }, async (decoy) => {
      const talk = await Talk.to(decoy.port(53, 'tcp'));
      const bytes = query('www.corp.example', A);
      const response = await talk.send(Buffer.concat([Buffer.of(0, bytes.length), bytes])).read(20);
      assert.equal(response.readUInt16BE(0), response.length - 2);
      assert.deepEqual([rcode(response.subarray(2)), answers(response.subarray(2))], [0, 1]);
      talk.close();
    }));

  it('an open DNS answers every name, with the recursion bit', () =>
    withDecoy('dns', { DNS_ZONE_MODE: 'open' }, async (decoy) => {
      const answer = await ask(decoy.port(53, 'udp'), query('example.net', A));
      assert.deepEqual([rcode(answer), answers(answer), (answer?.[3] ?? 0) & 0x80], [0, 1, 0x80]);
    }));

  it('LLMNR and mDNS answer for the own name and for no other', () =>
    withDecoy('llmnr', {}, async (decoy) => {
      assert.equal(answers(await ask(decoy.port(5355, 'udp'), query('srv-test-42', A))), 1);
      assert.equal(answers(await ask(decoy.port(5353, 'udp'), query('SRV-TEST-42.local', A))), 1);
      assert.equal(await ask(decoy.port(5355, 'udp'), query('other', A), SILENCE_MS), undefined);
    }));

  it('SNMP gives the host name to the community public, to others nothing', () =>
    withDecoy('snmp', {}, async (decoy) => {
      for (const version of [0, 1]) {
        const answer = await ask(decoy.port(161), snmpGet('public', version));
        assert.equal(answer?.[1], (answer?.length ?? 0) - 2);
        assert.match(answer?.toString('latin1') ?? '', /SRV-TEST-42$/);
      }
      assert.equal(await ask(decoy.port(161), snmpGet('secret'), SILENCE_MS), undefined);
      assert.equal(await ask(decoy.port(161), snmpGet('public', 3), SILENCE_MS), undefined);
    }));

  it('TFTP has no files and takes none', () =>
    withDecoy('tftp', {}, async (decoy) => {
      assert.equal(
        String(await ask(decoy.port(69), Buffer.from('\0\x01boot.cfg\0octet\0'))),
        '\0\x05\0\x01File not found\0',
      );
      assert.equal(
        String(await ask(decoy.port(69), Buffer.from('\0\x02boot.cfg\0octet\0'))),
        '\0\x05\0\x02Access violation\0',
      );
      assert.equal(await ask(decoy.port(69), Buffer.from('\0\x05\0\x01x\0'), SILENCE_MS), undefined);
    }));

  it('SIP over UDP answers OPTIONS', () =>
    withDecoy('sip', {}, async (decoy) => {
      const head =
        'Via: SIP/2.0/UDP a;branch=1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n';
      const answer = await ask(decoy.port(5060, 'udp'), Buffer.from(`OPTIONS sip:a SIP/2.0\r\n${head}\r\n`));
      assert.match(String(answer), /^SIP\/2\.0 200 OK\r\nVia: SIP\/2\.0\/UDP a;branch=1\r\n/);
    }));

  // proof: decoys
  it('an answer is at most four times its question, whatever is asked', async () => {
    const records = Array.from({ length: 20 }, (_, at) => `big A 192.0.2.${at}`).join('\n');
    await withDecoy('dns', { DNS_DOMAIN: 'x', DNS_EXTRA_RECORDS: records }, async (decoy) => {
      const question = query('big.x', A);
      const answer = await ask(decoy.port(53, 'udp'), question);
      assert.ok(answer && answer.length <= question.length * 4, `${answer?.length} bytes for ${question.length}`);
      assert.equal((answer[2] ?? 0) & 2, 2, 'says that it was cut');
    });
  });

  it('one JSON line per datagram, with the sender and the bytes', () =>
    withDecoy('tftp', {}, async (decoy) => {
      await ask(decoy.port(69), Buffer.from('\0\x01boot.cfg\0octet\0'));
      const line = await decoy.line((each) => each.event === 'exchange');
      assert.equal(line.first_bytes, '\\x00\\x01boot.cfg\\x00octet\\x00');
      assert.deepEqual(
        [line.service, line.decky, line.peer_address, line.transport],
        ['tftp', 'decky-1', '127.0.0.1', 'udp'],
      );
      assert.equal(line.local_port, decoy.port(69));
    }));
});
