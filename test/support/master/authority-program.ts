/** A program of a test: opens the CA in the directory of its argument, and says which identities it got. */
import { openAuthority } from '../../../adapters/pki/authority.ts';

const authority = await openAuthority(process.argv[2] ?? '');
const [master, server] = await Promise.all([authority.master(), authority.server(['192.0.2.1'])]);
process.stdout.write(JSON.stringify([authority.fingerprint, master.fingerprint, server.fingerprint]));
