/** The X.509 library, loaded after the Reflect polyfill that it needs. */
import 'reflect-metadata';

export * from '@peculiar/x509';
