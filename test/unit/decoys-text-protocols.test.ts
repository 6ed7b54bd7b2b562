import assert from 'node:assert/strict';
import { Talk, withDecoy } from '../support/docker/decoys.ts';

const dialogue = async (port: number, steps: readonly (readonly [string, RegExp])[]): Promise<void> => {
  const talk = await Talk.to(port);
  for (const [send, expected] of steps) {
    if (send !== '') talk.send(send);
    await talk.text(expected);
  }
  talk.close();
};

describe('decoys: protocols of lines', function () {
  this.timeout(30_000);

  // proof: decoys
  it('SSH gives its identification, offers algorithms, and disconnects with the host’s name', () =>
    withDecoy('ssh', { SSH_HOSTNAME: 'bastion-7' }, async (decoy) => {
      const talk = await Talk.to(decoy.port(22));
      assert.match(await talk.text(/\r\n/), /^SSH-2\.0-OpenSSH_\S+( \S+)?\r\n$/);
      const offer = await talk.send('SSH-2.0-test\r\n').read(200);
      assert.equal(offer.readUInt32BE(0) + 4, offer.length);
      assert.equal(offer.length % 8, 0);
      assert.equal(offer[5], 20);
      assert.match(offer.toString('latin1'), /curve25519-sha256/);
      // A key exchange message (30) with four bytes of padding.
      talk.send(Buffer.from([0, 0, 0, 12, 4, 30, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0]));
      const farewell = await talk.rest();
      assert.equal(farewell[5], 1);
      assert.match(farewell.toString('latin1'), /bastion-7/);
    }));

  it('SSH refuses what is no identification', () =>
    withDecoy('ssh', {}, async (decoy) => {
      const talk = await Talk.to(decoy.port(22));
      const said = await talk.send('GET / HTTP/1.0\r\n\r\n').rest();
      assert.match(said.toString(), /Invalid SSH identification/);
    }));

  it('Telnet negotiates, asks for name and password, and lets nobody in', () =>
    withDecoy('telnet', { TELNET_HOSTNAME: 'router-3' }, async (decoy) => {
      const talk = await Talk.to(decoy.port(23));
      const greeting = await talk.read(/login: $/);
      assert.equal(greeting[0], 255);
      assert.match(greeting.toString('latin1'), /router-3 login: $/);
      // DO NAWS (31) and WILL LINEMODE (34) are refused: WONT, DONT.
      assert.deepEqual(
        [...(await talk.send(Buffer.from([255, 253, 31, 255, 251, 34])).read(6))],
        [255, 252, 31, 255, 254, 34],
      );
      await talk.send('root\r\n').text(/root\r\nPassword: $/);
      const refusal = await talk.send('hunter2\r\n').text(/Login incorrect[\s\S]*login: $/);
      assert.doesNotMatch(refusal, /hunter2/);
    }));

  it('FTP greets with the host name and refuses the login', () =>
    withDecoy('ftp', {}, (decoy) =>
      dialogue(decoy.port(21), [
        ['', /^220 SRV-TEST-42 .*\r\n$/],
        ['SYST\r\n', /^215 UNIX Type: L8\r\n$/],
        ['USER a\r\n', /^331 /],
        ['PASS b\r\n', /^530 Login incorrect/],
        ['LIST\r\n', /^530 /],
        ['constructor\r\n', /^500 /],
        ['QUIT\r\n', /^221 /],
      ]),
    ));

  it('SMTP says SMTP_BANNER, authenticates nobody and relays nothing', () =>
    withDecoy('smtp', { SMTP_BANNER: 'mx1.example.org ESMTP Ready' }, (decoy) =>
      dialogue(decoy.port(25), [
        ['', /^220 mx1\.example\.org ESMTP Ready\r\n$/],
        ['EHLO x\r\n', /250-SRV-TEST-42\r\n[\s\S]*250 \S+\r\n$/],
        ['AUTH LOGIN\r\n', /^334 VXNlcm5hbWU6\r\n$/],
        ['YQ==\r\n', /^334 UGFzc3dvcmQ6\r\n$/],
        ['Yg==\r\n', /^535 /],
        ['MAIL FROM:<a@b.c>\r\n', /^250 /],
        ['RCPT TO:<d@e.f>\r\n', /^554 5\.7\.1 /],
        ['DATA\r\n', /^503 /],
        ['QUIT\r\n', /^221 /],
      ]),
    ));

  it('SMTP_MTA chooses the personality', async () => {
    for (const mta of ['postfix', 'exim', 'sendmail'])
      await withDecoy('smtp', { SMTP_MTA: mta }, (decoy) =>
        dialogue(decoy.port(587), [['', new RegExp(`^220 SRV-TEST-42 ESMTP ${mta}`, 'i')]]),
      );
  });

  it('the open relay takes a message for everybody', () =>
    withDecoy('smtp_relay', { SMTP_OPEN_RELAY: '1' }, (decoy) =>
      dialogue(decoy.port(25), [
        ['', /^220 /],
        ['HELO x\r\n', /^250 /],
        ['MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n', /250 [\s\S]*250 [\s\S]*354 /],
        ['Subject: x\r\n\r\n..\r\nQUIT\r\n.\r\n', /^250 2\.0\.0 Ok: queued as [0-9A-F]+\r\n$/],
        ['QUIT\r\n', /^221 /],
      ]),
    ));

  it('POP3 and IMAP greet, tell what they can, and refuse the login', async () => {
    await withDecoy('pop3', {}, (decoy) =>
      dialogue(decoy.port(110), [
        ['', /^\+OK SRV-TEST-42 /],
        ['CAPA\r\n', /^\+OK\r\n[\s\S]*\r\n\.\r\n$/],
        ['USER a\r\n', /^\+OK/],
        ['PASS b\r\n', /^-ERR \[AUTH\]/],
        ['QUIT\r\n', /^\+OK/],
      ]),
    );
    await withDecoy('imap', {}, (decoy) =>
      dialogue(decoy.port(143), [
        ['', /^\* OK \[CAPABILITY IMAP4rev1 .*SRV-TEST-42/],
        ['a CAPABILITY\r\n', /^\* CAPABILITY IMAP4rev1[\s\S]*a OK /],
        ['b LOGIN a b\r\n', /^b NO \[AUTHENTICATIONFAILED\]/],
        ['c LOGIN {1}\r\n', /^\+ OK/],
        ['a {1+}\r\nb\r\n', /^c NO /],
        ['d LOGOUT\r\n', /\* BYE [\s\S]*d OK /],
      ]),
    );
  });

  it('Redis answers PING and INFO with REDIS_VERSION and REDIS_OS, and wants a password for the rest', () =>
    withDecoy('redis', { REDIS_VERSION: '6.2.1', REDIS_OS: 'Linux 4.19 armv7l' }, (decoy) =>
      dialogue(decoy.port(6379), [
        ['*1\r\n$4\r\nPING\r\n', /^\+PONG\r\n$/],
        ['ping\r\n', /^\+PONG\r\n$/],
        ['*1\r\n$4\r\nINFO\r\n', /^\$\d+\r\n[\s\S]*redis_version:6\.2\.1\r\n[\s\S]*os:Linux 4\.19 armv7l\r\n/],
        ['*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n', /^-WRONGPASS /],
        ['*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n', /^-NOAUTH /],
        ['QUIT\r\n', /^\+OK\r\n$/],
      ]),
    ));

  it('SIP answers OPTIONS, challenges a registration, and forbids it', () =>
    withDecoy('sip', {}, (decoy) => {
      const head =
        'Via: SIP/2.0/TCP a;branch=1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 X\r\n';
      return dialogue(decoy.port(5060, 'tcp'), [
        [`OPTIONS sip:a SIP/2.0\r\n${head}\r\n`, /^SIP\/2\.0 200 OK\r\n[\s\S]*Call-ID: 1\r\n[\s\S]*\r\n\r\n$/],
        [
          `REGISTER sip:a SIP/2.0\r\n${head}\r\n`,
          /^SIP\/2\.0 401 [\s\S]*WWW-Authenticate: Digest realm="SRV-TEST-42", nonce="/,
        ],
        [`REGISTER sip:a SIP/2.0\r\n${head}Authorization: Digest x\r\n\r\n`, /^SIP\/2\.0 403 /],
      ]);
    }));
});
