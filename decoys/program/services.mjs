/**
 * The services of the catalogue, with the ports of its `default_ports` and the transports that their protocols have.
 * Each gives its listeners when asked, so that a decoy loads its own protocol and no other. A listener has `port`,
 * `transport` (tcp, tls, udp), one of `talk`, `http`, `answer` (see tcp.mjs, udp.mjs), and `sideline` when the port is
 * given up to a service of the same decky that lives from it (lending.mjs).
 */
const stream = (transport, talk, ...ports) => ports.map((port) => ({ port, transport, talk }));
const web = (transport, http, ...ports) => ports.map((port) => ({ port, transport, http }));
const datagram = (answer, ...ports) => ports.map((port) => ({ port, transport: 'udp', answer }));
const sideline = (listeners) => listeners.map((listener) => ({ ...listener, sideline: true }));

export const SERVICES = Object.freeze({
  async ssh() {
    const { ssh } = await import('./protocols/ssh.mjs');
    return stream('tcp', ssh, 22);
  },
  async telnet() {
    const { telnet } = await import('./protocols/telnet.mjs');
    return stream('tcp', telnet, 23);
  },
  async ftp() {
    const { ftp } = await import('./protocols/ftp.mjs');
    return stream('tcp', ftp, 21);
  },
  async smtp() {
    const { smtp } = await import('./protocols/smtp.mjs');
    return stream('tcp', smtp, 25, 587);
  },
  async smtp_relay() {
    const { smtp } = await import('./protocols/smtp.mjs');
    return stream('tcp', smtp, 25, 587);
  },
  async pop3() {
    const { pop3 } = await import('./protocols/pop3.mjs');
    return [...stream('tcp', pop3, 110), ...stream('tls', pop3, 995)];
  },
  async imap() {
    const { imap } = await import('./protocols/imap.mjs');
    return [...stream('tcp', imap, 143), ...stream('tls', imap, 993)];
  },
  async http() {
    const { webServer } = await import('./protocols/web.mjs');
    const server = webServer();
    return [...web('tcp', server, 80), ...sideline(web('tls', server, 443))];
  },
  async https() {
    const { webServer } = await import('./protocols/web.mjs');
    return web('tls', webServer(), 443);
  },
  async elasticsearch() {
    const { elasticsearch } = await import('./protocols/elasticsearch.mjs');
    return web('tcp', elasticsearch(), 9200);
  },
  async docker_api() {
    const { dockerApi } = await import('./protocols/docker-api.mjs');
    const server = dockerApi();
    return [...web('tcp', server, 2375), ...web('tls', server, 2376)];
  },
  async k8s() {
    const { kubernetes } = await import('./protocols/kubernetes.mjs');
    const server = kubernetes();
    return [...web('tls', server, 6443), ...web('tcp', server, 8080)];
  },
  async redis() {
    const { redis } = await import('./protocols/redis.mjs');
    return stream('tcp', redis, 6379);
  },
  async mysql() {
    const { mysql } = await import('./protocols/mysql.mjs');
    return stream('tcp', mysql, 3306);
  },
  async postgres() {
    const { postgres } = await import('./protocols/postgres.mjs');
    return stream('tcp', postgres, 5432);
  },
  async mssql() {
    const { mssql } = await import('./protocols/mssql.mjs');
    return stream('tcp', mssql, 1433);
  },
  async mongodb() {
    const { mongodb } = await import('./protocols/mongodb.mjs');
    return stream('tcp', mongodb, 27017);
  },
  async mqtt() {
    const { mqtt } = await import('./protocols/mqtt.mjs');
    return stream('tcp', mqtt, 1883);
  },
  async ldap() {
    const { ldap } = await import('./protocols/ldap.mjs');
    return [...stream('tcp', ldap, 389), ...stream('tls', ldap, 636)];
  },
  async smb() {
    const { smb } = await import('./protocols/smb.mjs');
    return stream('tcp', smb, 445, 139);
  },
  async rdp() {
    const { rdp } = await import('./protocols/rdp.mjs');
    return stream('tcp', rdp, 3389);
  },
  async vnc() {
    const { vnc } = await import('./protocols/vnc.mjs');
    return stream('tcp', vnc, 5900);
  },
  async dns() {
    const { dnsDatagram, dnsStream } = await import('./protocols/dns.mjs');
    return [...datagram(dnsDatagram, 53), ...stream('tcp', dnsStream, 53)];
  },
  async llmnr() {
    const { llmnr, llmnrStream, mdns } = await import('./protocols/llmnr.mjs');
    return [
      { port: 5355, transport: 'udp', answer: llmnr, groups: ['224.0.0.252'] },
      ...stream('tcp', llmnrStream, 5355),
      { port: 5353, transport: 'udp', answer: mdns, groups: ['224.0.0.251'] },
    ];
  },
  async snmp() {
    const { snmp } = await import('./protocols/snmp.mjs');
    return datagram(snmp, 161);
  },
  async sip() {
    const { sipDatagram, sipStream } = await import('./protocols/sip.mjs');
    return [...datagram(sipDatagram, 5060), ...stream('tcp', sipStream, 5060)];
  },
  async tftp() {
    const { tftp } = await import('./protocols/tftp.mjs');
    return datagram(tftp, 69);
  },
  async conpot() {
    const { modbus } = await import('./protocols/modbus.mjs');
    const { snmp } = await import('./protocols/snmp.mjs');
    const { webServer } = await import('./protocols/web.mjs');
    return [...stream('tcp', modbus, 502), ...sideline(datagram(snmp, 161)), ...sideline(web('tcp', webServer(), 80))];
  },
});
