/** LDAP 3 (RFC 4511): every bind gets invalidCredentials, every search is told to bind first. */
import { ber, berElements, berInteger, berLength, TAG } from '../ber.mjs';
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';

const RESULT = { operationsError: 1, protocolError: 2, strongerAuthRequired: 8, invalidCredentials: 49 };
const BIND_FIRST =
  '000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563';
const WRONG_CREDENTIALS = '80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 52e, v4563';
/** Request tag → [response tag, result, diagnostic text]; the tags are [APPLICATION n]. */
const ANSWERS = new Map([
  [0x60, [0x61, RESULT.invalidCredentials, WRONG_CREDENTIALS]],
  [0x63, [0x65, RESULT.operationsError, BIND_FIRST]],
  [0x66, [0x67, RESULT.operationsError, BIND_FIRST]],
  [0x68, [0x69, RESULT.operationsError, BIND_FIRST]],
  [0x4a, [0x6b, RESULT.operationsError, BIND_FIRST]],
  [0x6c, [0x6d, RESULT.operationsError, BIND_FIRST]],
  [0x6e, [0x6f, RESULT.operationsError, BIND_FIRST]],
  [0x77, [0x78, RESULT.protocolError, 'unsupported extended operation']],
]);
const UNBIND = 0x42;
const ABANDON = 0x50;

export const ldap = (connection) =>
  frames(connection, berLength, (bytes) => {
    const [message] = berElements(bytes);
    if (message?.tag !== TAG.sequence) throw new ProtocolError('LDAPMessage');
    const [id, operation] = berElements(message.value);
    if (id?.tag !== TAG.integer || id.value.length > 4 || !operation) throw new ProtocolError('LDAPMessage');
    if (operation.tag === UNBIND) return connection.end();
    if (operation.tag === ABANDON) return undefined;
    const answer = ANSWERS.get(operation.tag);
    if (!answer) throw new ProtocolError('operation');
    const [tag, code, text] = answer;
    const result = ber(tag, berInteger(code, TAG.enumerated), ber(TAG.octets), ber(TAG.octets, Buffer.from(text)));
    return connection.send(ber(TAG.sequence, ber(TAG.integer, id.value), result));
  });
